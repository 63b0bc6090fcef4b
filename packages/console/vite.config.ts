import { join } from 'node:path'
import { defineConfig } from 'vite'

// JSX and types are handled by Vite itself. Everything that is loaded is a file of ours: the page's
// content security policy allows nothing else to run.
export default defineConfig({
  root: import.meta.dirname,
  base: '/console/',
  // The page verifies receipts with packages/tlog, as the CLI does; it needs two functions of Node.
  resolve: { alias: { 'node:crypto': join(import.meta.dirname, 'src/receipt/node-crypto.ts') } },
  plugins: [
    {
      name: 'load-main-at-once',
      // The small file imports it, but the browser would know that only once it has run.
      transformIndexHtml: {
        order: 'post',
        handler: (_, { bundle = {} }) =>
          Object.values(bundle)
            .filter((each) => each.type === 'chunk' && each.moduleIds.some((id) => id.endsWith('/src/main.tsx')))
            .map(({ fileName }) => ({
              ...{ tag: 'link', injectTo: 'head' },
              attrs: { rel: 'modulepreload', crossorigin: true, href: `/console/${fileName}` },
            })),
      },
    },
  ],
  build: {
    outDir: 'dist',
    emptyOutDir: true,
    target: 'es2023',
    modulePreload: { polyfill: false },
    assetsInlineLimit: 0,
    sourcemap: false,
    reportCompressedSize: false,
    // The first view is one file besides the small one that begins: a dozen would each wait for a connection.
    rolldownOptions: {
      output: {
        codeSplitting: {
          groups: [
            { name: 'head-start', test: /console[\\/]src[\\/]head-start\.ts$/, priority: 2 },
            { name: 'first', test: /console[\\/]src[\\/]main\.tsx$/, priority: 1 },
          ],
        },
      },
    },
  },
})
