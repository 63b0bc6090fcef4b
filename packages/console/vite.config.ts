import { join } from 'node:path'
import { defineConfig } from 'vite'

// JSX and types are Vite's own; no plug-in. Everything that is loaded is a file of ours: the page's content security policy
// lets nothing else run.
export default defineConfig({
  root: import.meta.dirname,
  base: '/console/',
  // What verifies a receipt in the page is packages/tlog as the CLI runs it; of Node it needs two functions.
  resolve: { alias: { 'node:crypto': join(import.meta.dirname, 'src/receipt/node-crypto.ts') } },
  build: {
    outDir: 'dist',
    emptyOutDir: true,
    target: 'es2023',
    modulePreload: { polyfill: false },
    assetsInlineLimit: 0,
    sourcemap: false,
    reportCompressedSize: false,
  },
})
