/** No two entries may be equal: an event that comes twice is one leaf. */
export const shortestEntry = 12

/**
 * Makes entries of exactly `size` bytes, all different. Where an envelope's members fit, they are events of one
 * producer for each writer, as the log's index reads them; otherwise the shortest JSON that is unique.
 */
export function entryMaker(size: number): (writer: number, n: number) => Uint8Array {
  let made = 0
  return (writer, n) => {
    made += 1
    const event = JSON.stringify({
      id: `evt_${String(made).padStart(22, '0')}`,
      source: `/bench/${writer}`,
      type: 'decision.allowed',
      subject: `dec_${made}`,
      sequence: String(n + 1).padStart(16, '0'),
      data: { grant_id: `grt_${writer}`, call_id: `call_${made}`, fill: '' },
    })
    const fill = size - event.length
    if (fill >= 0) return Buffer.from(event.replace('"fill":""', `"fill":"${'x'.repeat(fill)}"`))
    return Buffer.from(`"${String(made).padStart(size - 2, '0')}"`)
  }
}
