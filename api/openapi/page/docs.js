// Swagger UI over the OpenAPI document of this server. "Execute" sends the key of "Authorize", or else the session cookie.
const dark = matchMedia("(prefers-color-scheme: dark)");
const follow = () => document.documentElement.classList.toggle("dark-mode", dark.matches);
dark.addEventListener("change", follow);
follow();

// Swagger UI formats JSON with JSON.parse, which rounds integers above 2^53: bodies that hold such are shown as they came.
const LONG_INTEGER = /[0-9]{16}/;
const exactIntegers = () => ({
  wrapComponents: {
    responseBody:
      (Original, { React }) =>
      (props) =>
        React.createElement(
          Original,
          LONG_INTEGER.test(props.content) ? { ...props, contentType: "text/plain" } : props,
        ),
  },
});

SwaggerUIBundle({
  url: "/openapi.json",
  dom_id: "#docs",
  plugins: [exactIntegers],
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
