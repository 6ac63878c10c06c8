// Swagger UI over the OpenAPI document of this server. "Execute" sends the key of "Authorize", or else the session cookie.
const dark = matchMedia("(prefers-color-scheme: dark)");
const follow = () => document.documentElement.classList.toggle("dark-mode", dark.matches);
dark.addEventListener("change", follow);
follow();

SwaggerUIBundle({
  url: "/openapi.json",
  dom_id: "#docs",
  deepLinking: true,
  tryItOutEnabled: true,
  defaultModelsExpandDepth: 0,
  validatorUrl: null,
  requestInterceptor(request) {
    // Without a key the API takes JSON only, also where an operation has no body.
    if ((request.method ?? "GET") !== "GET") request.headers["Content-Type"] ??= "application/json";
    return request;
  },
});
