import { ctest } from "../../formats/ctest.ts";
import { dejagnuXml } from "../../formats/dejagnu_xml.ts";
import { gbench } from "../../formats/gbench.ts";
import { gtest } from "../../formats/gtest.ts";
import { junit } from "../../formats/junit.ts";
import { lit } from "../../formats/lit.ts";
import { lnt } from "../../formats/lnt.ts";
import { mocha } from "../../formats/mocha.ts";
import { endless, type Reader, under, wide } from "./worst_texts.ts";

const JSON_TAIL = "]}";
const MOCHA = '{"stats":{"suites":1},"failures":[],"pending":[],';
const LNT = '{"format_version":"2","machine":{},"run":{},"tests":[';
const GTEST = '{"testsuites":[{"name":"s","testsuite":[';
const XML_CASE = '<testcase name="a" classname="b" time="1"/>\n';

/** XML and JSON formats with their most expensive documents. */
export const DOCUMENTS: Reader[] = [
  {
    format: junit,
    plain: endless(XML_CASE, { head: "<testsuite>", tail: "</testsuite>" }),
    worst: {
      "a suite with a long name": under(
        (name) => `<testsuite name="${name}">`,
        "<testcase/>",
        "</testsuite>",
      ),
      "suites in suites": endless("<testcase/>", {
        head: `<testsuite name="${"a".repeat(200)}">`.repeat(100),
        tail: "</testsuite>".repeat(100),
      }),
      "a number": endless(`<testcase name="a" time="${"1,".repeat(30_000)}x"/>`, {
        head: "<testsuite>",
        tail: "</testsuite>",
      }),
      "a property's number": endless(
        `<testcase name="a"><properties><property name="p" value="${
          "1".repeat(60_000)
        }x"/></properties></testcase>`,
        { head: "<testsuite>", tail: "</testsuite>" },
      ),
      "text in pieces": endless("a<!---->", {
        head: '<testsuite><testcase name="a"><failure>',
        tail: "</failure></testcase></testsuite>",
      }),
      "failures of a case": endless('<failure type="a" message="b"/>', {
        head: '<testsuite><testcase name="a">',
        tail: "</testcase></testsuite>",
      }),
      "a failure's own words": endless('<failure message="a b">a\nb</failure>', {
        head: '<testsuite><testcase name="a">',
        tail: "</testcase></testsuite>",
      }),
      "entities": endless("&amp;&#38;", {
        head: '<testsuite><testcase name="a"><failure>',
        tail: "</failure></testcase></testsuite>",
      }),
      "a value of entities": endless("&amp;", {
        head: '<testsuite><testcase name="',
        tail: '"/></testsuite>',
      }),
      "a value with lines": endless("a\n", { head: '<testsuite><testcase name="', tail: '"/></testsuite>' }),
      "a comment": endless("- ", { head: "<testsuite><!--", tail: '--><testcase name="a"/></testsuite>' }),
      "comments": endless("<!---->", { head: "<testsuite>", tail: '<testcase name="a"/></testsuite>' }),
      "instructions": endless("<?a b?>", { head: "<testsuite>", tail: '<testcase name="a"/></testsuite>' }),
      "brackets": endless("]", {
        head: '<testsuite><testcase name="a"><failure><![CDATA[',
        tail: "]]></failure></testcase></testsuite>",
      }),
      "blanks in a tag": endless(" ", { head: "<testsuite><testcase", tail: ' name="a"/></testsuite>' }),
      "attributes": wide("<testcase", ' a="1"', "/>", { head: "<testsuite>", tail: "</testsuite>" }),
    },
  },
  {
    format: dejagnuXml,
    plain: endless("<test><result>PASS</result><name>a test</name></test>\n", {
      head: "<testsuite>",
      tail: "</testsuite>",
    }),
    worst: {
      "names": wide("<test><result>FAIL</result><name>", "(PRMS ", "</name><prms_id>1</prms_id></test>", {
        head: "<testsuite>",
        tail: "</testsuite>",
      }),
      "blanks": wide("<test><result>FAIL</result><name>a</name><output>", " ", "</output></test>", {
        head: "<testsuite>",
        tail: "</testsuite>",
      }),
    },
  },
  {
    format: ctest,
    plain: endless('<Test Status="passed"><Name>a test</Name></Test>\n', {
      head: "<Site><Testing>",
      tail: "</Testing></Site>",
    }),
    worst: {
      "measurements": endless(
        '<NamedMeasurement type="numeric/double" name="a"><Value>1</Value></NamedMeasurement>',
        {
          head: '<Site><Testing><Test Status="passed">',
          tail: "</Test></Testing></Site>",
        },
      ),
      "a time": endless("1", {
        head: "<Site><Testing><StartTestTime>",
        tail: "</StartTestTime></Testing></Site>",
      }),
      "a number": wide(
        '<Test Status="passed"><NamedMeasurement type="numeric/double" name="Execution Time"><Value>',
        "1,",
        "x</Value></NamedMeasurement></Test>",
        { head: "<Site><Testing>", tail: "</Testing></Site>" },
      ),
    },
  },
  {
    format: gtest,
    plain: endless('{"name":"a test","status":"RUN","time":"1s"},\n', {
      head: GTEST,
      tail: '{"name":"a","status":"RUN"}]}]}',
    }),
    worst: {
      "a suite with a long name": under(
        (name) => `{"testsuites":[{"name":"${name}","testsuite":[`,
        '{"name":"a","status":"RUN"},',
        '{"name":"a","status":"RUN"}]}]}',
      ),
      "a property's number": wide('{"name":"a","status":"RUN","p":"', "1", 'x"},', {
        head: GTEST,
        tail: '{"name":"a","status":"RUN"}]}]}',
      }),
      "blanks": endless(" ", { head: GTEST, tail: '{"name":"a","status":"RUN"}]}]}' }),
      "what is no number in a text": endless(",NaN", {
        head: `${GTEST}{"name":"a`,
        tail: '","status":"RUN"}]}]}',
      }),
      "beginnings of what is no number": endless(": -", {
        head: `${GTEST}{"name":"a`,
        tail: '","status":"RUN"}]}]}',
      }),
      "escapes": endless("\\u00e4", { head: `${GTEST}{"name":"a`, tail: '","status":"RUN"}]}]}' }),
      "a number without end": endless("1", { head: `${GTEST}{"name":`, tail: "}]}]}" }),
      "keys": endless('"a":1,', { head: `${GTEST}{"name":"a",`, tail: '"status":"RUN"}]}]}' }),
      "other keys of the root": endless('"a":1,', { head: "{", tail: '"testsuites":[]}' }),
    },
  },
  {
    format: gbench,
    plain: endless('{"name":"a test","real_time":1,"time_unit":"ns"},\n', {
      head: '{"context":{},"benchmarks":[',
      tail: '{"name":"a"}]}',
    }),
    worst: {
      "a date": endless("1", { head: '{"context":{"date":"', tail: '"},"benchmarks":[]}' }),
      "a host": endless("\\u0001", { head: '{"context":{"host_name":"', tail: '"},"benchmarks":[]}' }),
      "what is no number": endless('{"name":"a","x":NaN},', {
        head: '{"context":{},"benchmarks":[',
        tail: '{"name":"a"}]}',
      }),
    },
  },
  {
    format: lit,
    plain: endless('{"name":"a test","code":"PASS","elapsed":1},\n', {
      head: '{"__version__":[1],"tests":[',
      tail: '{"name":"a","code":"PASS"}]}',
    }),
    worst: {
      "metrics": endless('"a":1,', {
        head: '{"__version__":[1],"tests":[{"name":"a","code":"PASS","metrics":{',
        tail: '"b":1}}]}',
      }),
      "a metric's values": endless("1,", {
        head: '{"__version__":[1],"tests":[{"name":"a","code":"PASS","metrics":{"a":[',
        tail: "1]}}]}",
      }),
      "a time": wide('{"name":"a","code":"PASS","elapsed":"', "1,", 'x"},', {
        head: '{"__version__":[1],"tests":[',
        tail: '{"name":"a","code":"PASS"}]}',
      }),
    },
  },
  {
    format: mocha,
    plain: endless('{"fullTitle":"a test","duration":1,"err":{}},\n', {
      head: `${MOCHA}"passes":[`,
      tail: '{"fullTitle":"a"}]}',
    }),
    worst: {
      "a long title": endless("a ", {
        head: `${MOCHA}"passes":[{"fullTitle":"`,
        tail: '"}]}',
      }),
      "a failure's long stack": endless("\\u001b[31m ", {
        head: `${MOCHA}"passes":[],"failures":[{"fullTitle":"a","err":{"stack":"`,
        tail: '"}}]}',
      }),
      "a time": endless("1", { head: '{"stats":{"suites":1,"start":"', tail: '"}}' }),
      "keys of a test": endless('"a":1,', {
        head: `${MOCHA}"passes":[{"fullTitle":"a",`,
        tail: '"b":1}]}',
      }),
      "tests of no list": endless('{"fullTitle":"a"},', { head: `${MOCHA}"tests":[`, tail: "{}]}" }),
    },
  },
  {
    format: lnt,
    plain: endless('{"name":"a test","execution_time":[1]},\n', {
      head: LNT,
      tail: `{"name":"a"}${JSON_TAIL}`,
    }),
    worst: {
      "a number in quotes": wide('{"name":"a","x":"', "1", 'x"},', {
        head: LNT,
        tail: `{"name":"a"}${JSON_TAIL}`,
      }),
      "blanks in quotes": wide('{"name":"a","x":"1', " ", 'x"},', {
        head: LNT,
        tail: `{"name":"a"}${JSON_TAIL}`,
      }),
      "names": wide('{"Name":"a', ".compile.status", 'x","Data":[1]},', {
        head: '{"Machine":{},"Run":{"Info":{"__report_version__":"1"}},"Tests":[',
        tail: '{"Name":"a","Data":[1]}]}',
      }),
    },
  },
];
