import { z } from "zod";
import { makeToken } from "../auth/token_format.ts";
import { digestOf } from "../auth/digest.ts";
import { type Identity, mayAct } from "../auth/roles.ts";
import { savePerson } from "../db/access/people.ts";
import { createToken, listTokens, revokeToken } from "../db/access/tokens.ts";
import { HubError } from "../errors.ts";
import {
  createdToken,
  loginInput,
  logoutInput,
  type Me,
  me,
  tokenId,
  tokenInput,
  tokenList,
  tokenPage,
  tokenShape,
} from "../schemas/auth.ts";
import { authorOf, type Context } from "./context.ts";
import { procedure, router } from "./trpc.ts";
import { outputSchema } from "./output_schema.ts";

const HINT = 4;

/** Sessions and API tokens. */
export const authRouter = router({
  login: procedure
    .meta({
      method: "POST",
      path: "/api/auth/login",
      summary: "Sign in; sets the session cookie",
      role: "anyone",
      isOpen: true,
    })
    .input(loginInput)
    .output(outputSchema(me))
    .mutation(async ({ ctx, input }) => {
      const { sessionId, identity } = await ctx.auth.signIn({
        ...input,
        client: ctx.client,
        requestId: ctx.requestId,
        agent: ctx.agent,
        earlier: ctx.identity?.sessionHash,
      });
      ctx.reply.session = { id: sessionId, maxAgeMs: ctx.config.auth.sessionMaxMs };
      return toMe(identity);
    }),

  logout: procedure
    .meta({
      method: "POST",
      path: "/api/auth/logout",
      summary: "End this session, or with `everywhere` all of the caller's sessions",
      role: "viewer",
    })
    .input(logoutInput)
    .output(outputSchema(me))
    .mutation(async ({ ctx, input }) => {
      await ctx.auth.signOut(ctx.identity!, authorOf(ctx), input);
      ctx.reply.session = { id: null, maxAgeMs: 0 };
      return toMe(null);
    }),

  me: procedure
    .meta({
      method: "GET",
      path: "/api/auth/me",
      summary: "Return the caller's name and roles",
      role: "anyone",
      isOpen: true,
    })
    .input(z.object({}))
    .output(outputSchema(me))
    .query(({ ctx }) => toMe(ctx.identity)),

  tokens: procedure
    .meta({
      method: "GET",
      path: "/api/auth/tokens",
      summary: "List the caller's API tokens, newest first; admins may list anyone's",
      role: "viewer",
    })
    .input(tokenList)
    .output(outputSchema(tokenPage))
    .query(({ ctx, input }) => {
      const own = ctx.identity!.name;
      const person = input.person ?? own;
      if (person !== own && !mayAct(ctx.identity, "admin")) {
        throw new HubError(
          "FORBIDDEN",
          `Only ${
            JSON.stringify(person)
          } and admins may list these tokens; omit \`person\` to list your own.`,
        );
      }
      return listTokens(ctx.sql, person, input);
    }),

  createToken: procedure
    .meta({
      method: "POST",
      path: "/api/auth/tokens",
      summary: "Create an API token for scripts; the token is returned only once",
      role: "viewer",
      statuses: [201],
    })
    .input(tokenInput)
    .output(outputSchema(createdToken))
    .mutation(async ({ ctx, input }) => {
      const owner = await ownerOf(ctx);
      const token = makeToken();
      const made = await createToken(ctx.sql, {
        hash: digestOf(token),
        hint: token.slice(-HINT),
        person: owner,
        name: input.name,
        scopes: [...new Set(input.scopes)],
        expiresAt: new Date(ctx.now().getTime() + input.expiresInMs),
      }, authorOf(ctx));
      ctx.reply.status = 201;
      return { ...made, token };
    }),

  revokeToken: procedure
    .meta({
      method: "DELETE",
      path: "/api/auth/tokens/{id}",
      summary: "Revoke one of the caller's API tokens; admins may revoke anyone's",
      role: "viewer",
    })
    .input(tokenId)
    .output(outputSchema(tokenShape))
    .mutation(({ ctx, input }) => {
      const person = mayAct(ctx.identity, "admin") ? undefined : ctx.identity!.name;
      return revokeToken(ctx.sql, { id: input.id, person }, authorOf(ctx));
    }),
});

/** The owner of a new token. @throws HubError FORBIDDEN if the caller uses a token, which could exceed its own scopes */
async function ownerOf(ctx: Context): Promise<string> {
  const { name, via, scopes } = ctx.identity!;
  if (scopes !== null) {
    throw new HubError(
      "FORBIDDEN",
      "A token cannot create tokens; sign in, or send the admin token if the hub has no LDAP.",
    );
  }
  if (via !== "admin token") return name;
  if (ctx.config.auth.ldap !== undefined) {
    throw new HubError(
      "FORBIDDEN",
      "The admin token is not an LDAP user and cannot own tokens; sign in.",
    );
  }
  await savePerson(ctx.sql, { name, source: "local", groups: [] }, ctx.now());
  return name;
}

function toMe(identity: Identity | null): Me {
  return {
    name: identity?.name ?? null,
    roles: [...identity?.roles ?? []],
    via: identity?.via ?? null,
    scopes: identity?.scopes === null || identity === null ? null : [...identity.scopes],
    expiresAt: identity?.expiresAt?.toISOString() ?? null,
  };
}
