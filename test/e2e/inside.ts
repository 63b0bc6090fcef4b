import type { HttpServer } from '@bailiwick/host'

/** Answers over a service's own server, without a network between. */
export const inside =
  ({ inject }: Pick<HttpServer, 'inject'>): typeof fetch =>
  async (input, init) => {
    const { statusCode, body } = await inject({
      method: init?.method === 'POST' ? 'POST' : 'GET',
      url: new URL(String(input)).pathname,
      headers: { ...(init?.headers as Record<string, string>) },
      ...(init?.body === undefined ? {} : { payload: String(init.body) }),
    })
    return new Response(statusCode === 204 ? null : body, { status: statusCode })
  }
