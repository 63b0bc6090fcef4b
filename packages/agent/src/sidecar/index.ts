export { type Loopback, listenLoopback } from './loopback.ts'
export { openSidecar, type Sidecar, type SidecarOptions } from './sidecar.ts'
export { serveStdio } from './stdio.ts'
