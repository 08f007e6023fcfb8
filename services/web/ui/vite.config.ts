// Builds the page into `dist`; names carry a hash, so the server may let browsers keep them.
import { defineConfig } from "vite";

export default defineConfig({
  base: "/",
  build: { target: "es2022", assetsInlineLimit: 0, modulePreload: { polyfill: false } },
  server: { proxy: { "/api": "http://127.0.0.1:8081", "/plots": "http://127.0.0.1:8081" } },
});
