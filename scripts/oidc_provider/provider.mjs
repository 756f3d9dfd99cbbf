// A real provider of OpenID Connect for tests, in memory: node provider.mjs '{"back": …, "people": {…}}'.
// It prints its issuer once it answers. `back`: where clients are sent back to; `people`: claims by login name, any
// password; `claims_in_token`: not only at its userinfo; `issuer`: what it says it is, if not where it answers.
import http from "node:http";
import { exportJWK, generateKeyPair } from "jose";
import { Provider } from "oidc-provider";

const asked = JSON.parse(process.argv[2]);
const key = await exportJWK((await generateKeyPair("RS256", { extractable: true })).privateKey);
const client = (client_id) => ({
  client_id,
  client_secret: "a secret: 50% of it & more",
  redirect_uris: [asked.back],
});

const server = http.createServer();
server.listen(0, "127.0.0.1", () => {
  const here = `http://localhost:${server.address().port}`;
  const provider = new Provider(asked.issuer ?? here, {
    clients: [client("counterfoil"), client("another")],
    jwks: { keys: [{ ...key, kid: here, use: "sig", alg: "RS256" }] },
    cookies: { keys: ["of this provider"] },
    pkce: { required: () => true },
    scopes: ["openid", "groups"],
    claims: { openid: ["sub"], profile: ["name", "preferred_username"], email: ["email"], groups: ["groups"] },
    conformIdTokenClaims: !asked.claims_in_token,
    findAccount: (_, id) =>
      asked.people[id] && { accountId: id, claims: () => ({ sub: id, ...asked.people[id] }) },
  });
  server.on("request", provider.callback());
  console.log(here);
});
