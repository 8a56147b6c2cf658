// This program enqueues over HTTP with a client of openapi-fetch and the types that openapi-typescript
// made, reads the results, and decides. HABILITA_URL and HABILITA_API_KEY say where the API is.
import createClient from "openapi-fetch";
import type { components, paths } from "./api.js";

const api = createClient<paths>({
  baseUrl: process.env.HABILITA_URL!,
  headers: { Authorization: `Bearer ${process.env.HABILITA_API_KEY}` },
});

function check(ok: boolean, got: unknown): asserts ok {
  if (!ok) {
    throw new Error(`not as expected: ${JSON.stringify(got)}`);
  }
}

const name = "año 1/2 ?&#% typescript";
const id = "order-typescript";
const path = { batch: name };

const toEnqueue: components["schemas"]["CallToEnqueue"] = { server: "42", token: "token-ts-1", licenses: 5, id, batch: name };
const call = await api.POST("/v1/calls", { params: { header: { "Idempotency-Key": id } }, body: toEnqueue });
check(call.data?.id === id && call.data.due_at === null, call);
const seen = await api.GET("/v1/calls/{call}", { params: { path: { call: id }, query: { batch: name } } });
check(seen.data?.state === "queued" && seen.data.batch === name, seen);

const rows = "server,token,id\n42,token-ts-2,a\n43,token-ts-2,b\nnowhere,x,c\n";
const sent = await api.POST("/v1/batches", {
  params: { query: { batch: name, on_failure: "hold" } },
  body: rows,
  headers: { "Content-Type": "text/csv" },
  bodySerializer: (body: string) => body,
});
check(sent.data?.enqueued === 2 && sent.data.errors[0]?.line === 4, sent);
const batch = await api.GET("/v1/batches/{batch}", { params: { path } });
check(batch.data?.batch === name && batch.data.open === 3, batch);

let calls = 0;
let cursor: string | undefined;
for (let i = 0; i < 1000; i++) {
  const page = await api.GET("/v1/batches/{batch}/calls", { params: { path, query: { limit: 1, cursor } } });
  check(page.data !== undefined, page);
  calls += page.data.items.length;
  cursor = page.data.next ?? undefined;
  if (cursor === undefined) break;
}
check(calls === 3 && cursor === undefined, calls);
const report = await api.GET("/v1/batches/{batch}/calls.csv", { params: { path }, parseAs: "text" });
check(report.data?.split("\n").length === 5, report);
const chains = await api.GET("/v1/chains", { params: { query: { state: "all" } } });
check((chains.data?.items.length ?? 0) > 0, chains);
const cancelled = await api.POST("/v1/batches/{batch}/cancel", { params: { path } });
check(cancelled.data?.action === "cancel" && cancelled.data.count === 3, cancelled);
const actions = await api.GET("/v1/actions", {});
check(actions.data?.items[0]?.action === "cancel", actions);

const none = await api.GET("/v1/batches/{batch}", { params: { path: { batch: "none" } } });
check(none.response.status === 404 && none.error?.type === "urn:habilita:problem:not-found", none);
console.log("ok");
