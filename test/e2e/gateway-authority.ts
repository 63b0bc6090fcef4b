/** What the sample agent may do at both servers: read, adjust within bounds, a slow tool, one folder of resources; not delete. */
export const gatewayAuthority = (servers: readonly string[] = ['billing', 'local']) => ({
  type: 'bailiwick_task',
  task: 'reconcile-through-the-gateway',
  permissions: servers.flatMap((server) => {
    const on = (tool: string, more: object = {}) => ({
      actions: ['tools/call'],
      resource: { type: 'tool', id: `${server}/${tool}` },
      ...more,
    })
    return [
      on('read'),
      on('adjust', {
        where: { '/amount': { max: '500' }, '/currency': { in: ['EUR'] } },
        cost: { amount: '/amount', currency: '/currency' },
        max_uses: 10,
      }),
      on('slow'),
      on('resources/read', { where: { '/uri': { prefix: 'file:///srv/' } } }),
      on('stream/open'),
      on('elicitation/create'),
    ]
  }),
  budget: { calls: 200, cost: { EUR: '2000.00' } },
  max_depth: 0,
  max_children: 0,
})
