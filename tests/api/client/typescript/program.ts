// What a user of the generated types writes: `node program.js ORIGIN KEY` prints what it received, as one JSON object.

import createClient from "openapi-fetch";
import type { components, paths } from "./summaries.js";

declare const process: { argv: string[] };

type ProblemType = components["schemas"]["ProblemType"];

const [origin, key] = process.argv.slice(2);
const client = createClient<paths, "application/json" | "application/problem+json">({
  baseUrl: origin,
  headers: { Authorization: `Bearer ${key}` },
});

async function main(): Promise<void> {
  const series = await client.GET("/api/transactions/summary", {
    params: {
      query: { mode: "daily", type: "amount", merchant_id: ["corner-shop"], from: "1403/04/04", values: "string" },
    },
  });
  const values = Object.fromEntries((series.data ?? []).map((point) => [point.key, BigInt(point.value).toString()]));

  const first = await client.GET("/api/merchants", { params: { query: { limit: 2, unit: "major" } } });
  const ids: string[] = (first.data?.merchants ?? []).map((merchant) => merchant.merchant_id);
  const cursor = first.data?.next_cursor ?? undefined;
  const rest = await client.GET("/api/merchants", { params: { query: { limit: 2, unit: "major", cursor } } });

  const unknown = await client.GET("/api/transactions/summary", {
    params: { query: { mode: "daily", type: "count", merchant_id: ["nobody"] } },
  });
  const problem: ProblemType | undefined = unknown.error?.type;

  // @ts-expect-error: there is no such mode
  const wrong = await client.GET("/api/transactions/summary", { params: { query: { mode: "yearly", type: "count" } } });
  const parameters = wrong.error?.errors?.map((error) => error.parameter);

  // @ts-expect-error: such an address has no such method
  await client.DELETE("/api/merchants");

  const created = await client.POST("/api/notifications", {
    params: { header: { "Idempotency-Key": "order-68" } },
    body: { user_id: "reza", title: "Order 68", body: "It is on its way.", channels: ["sms"] },
  });

  console.log(
    JSON.stringify({
      values,
      pages: [ids, rest.data?.merchants.map((merchant) => merchant.amount)],
      problem,
      wrong: parameters,
      created: [created.response.status, created.data?.title],
    }),
  );
}

await main();
