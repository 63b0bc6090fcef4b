import { join } from 'node:path'
import { defineConfig } from 'vite'

// JSX and types are handled by Vite itself, without a plug-in. Everything that is loaded is a file of ours: the page's
// content security policy allows nothing else to run.
export default defineConfig({
  root: import.meta.dirname,
  base: '/console/',
  // The page verifies receipts with packages/tlog, as the CLI does; it needs two functions of Node.
  resolve: { alias: { 'node:crypto': join(import.meta.dirname, 'src/receipt/node-crypto.ts') } },
  build: {
    outDir: 'dist',
    emptyOutDir: true,
    target: 'es2023',
    modulePreload: { polyfill: false },
    assetsInlineLimit: 0,
    sourcemap: false,
    reportCompressedSize: false,
    // The first view is one file: a dozen small ones would each wait for a connection.
    rolldownOptions: { output: { codeSplitting: { groups: [{ name: 'first', tags: ['$initial'] }] } } },
  },
})
