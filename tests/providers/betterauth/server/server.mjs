// better-auth with its organization plugin, as its documentation sets it up. Everything that
// is asked of it is answered by better-auth itself; prints its address when it is ready.
//
// The environment: DATABASE (a file), SECRET, SMTP_PORT, and OPTIONS, the JSON of more options
// ({"auth": {...}, "organization": {...}}).
import { once } from "node:events";
import { createServer } from "node:http";
import { DatabaseSync } from "node:sqlite";
import { betterAuth } from "better-auth";
import { getMigrations } from "better-auth/db/migration";
import { toNodeHandler } from "better-auth/node";
import { bearer, organization } from "better-auth/plugins";
import { createTransport } from "nodemailer";

const { DATABASE, SECRET, SMTP_PORT, OPTIONS } = process.env;
const more = JSON.parse(OPTIONS || "{}");
const mailer = createTransport({ host: "127.0.0.1", port: Number(SMTP_PORT), ignoreTLS: true });
const server = createServer().listen(0, "127.0.0.1");
await once(server, "listening");
const baseURL = `http://127.0.0.1:${server.address().port}`;

const sendInvitationEmail = ({ id, email, role, organization }) =>
  mailer.sendMail({
    from: "auth@example.com",
    to: email,
    subject: `Join ${organization.name} as ${role}`,
    text: `${baseURL}/accept-invitation/${id}`,
  });

// nobody's password is secret here, and a good hash takes long
const password = {
  hash: async (password) => password,
  verify: async ({ hash, password }) => hash === password,
};

const auth = betterAuth({
  baseURL,
  secret: SECRET,
  database: new DatabaseSync(DATABASE),
  emailAndPassword: { enabled: true, password },
  telemetry: { enabled: false },
  plugins: [bearer(), organization({ sendInvitationEmail, ...more.organization })],
  ...more.auth,
});
await (await getMigrations(auth.options)).runMigrations();
server.on("request", toNodeHandler(auth));
console.log(`${baseURL}/api/auth`);
