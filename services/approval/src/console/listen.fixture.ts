/** A page that listens to the event stream; keeps what it received so far, unparsed. */
export async function listen(base: string, cookie: string | undefined, query = '') {
  const response = await fetch(`${base}/console/api/events${query}`, { headers: { cookie: cookie ?? '' } })
  const said = { text: '', ended: false }
  const read = async () => {
    for await (const chunk of response.body ?? []) said.text += Buffer.from(chunk).toString()
    said.ended = true
  }
  return { response, said, done: read().catch(() => undefined) }
}
