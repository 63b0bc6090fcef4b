import { FormApp, formAccount } from '@bailiwick/gateway/form-app'
import { GatewayWorld, type GatewayWorldOptions } from './gateway-world.ts'

const on = (tool: string, more: object = {}) => ({
  actions: ['tools/call'],
  resource: { type: 'tool', id: `app/${tool}` },
  ...more,
})

/** What the sample agent may do in the application `app`: change one record within a bound, and use its pages. */
export const sessionAuthority = {
  type: 'bailiwick_task',
  task: 'tidy-records',
  permissions: [
    ...['list', 'page', 'act', 'any', 'edit'].map((tool) => on(tool)),
    on('read', { where: { '/record': { in: ['1', '2'] } } }),
    on('change', { where: { '/record': { in: ['1'] }, '/amount': { max: '500' } } }),
  ],
  budget: { calls: 2000 },
  max_depth: 0,
  max_children: 0,
}

/** A web application for people behind a gateway, at `/session/app/`. */
export interface SessionWorld extends AsyncDisposable {
  world: GatewayWorld
  app: FormApp
  /** The application's entry in gateway.yaml. */
  entry: Record<string, unknown>
}

export async function openSessionWorld({
  more = {},
  ...options
}: Omit<GatewayWorldOptions, 'sessions'> & { more?: object } = {}): Promise<SessionWorld> {
  await using opening = new AsyncDisposableStack()
  const app = opening.use(await FormApp.start())
  const entry = app.entry(more)
  const world = opening.use(
    await GatewayWorld.open({
      ...options,
      env: { APP_PASSWORD: formAccount.password, ...options.env },
      sessions: { app: { entry } },
    }),
  )
  const owned = opening.move()
  return { world, app, entry, [Symbol.asyncDispose]: () => owned.disposeAsync() }
}
