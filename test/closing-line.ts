/** A test that finds a missing part only as it runs reports it: `skip('MISSING name: how to get it')`. */
export function missingIn(notes: readonly (string | undefined)[]): string[] {
  return [...new Set(notes.flatMap((note) => (note?.startsWith('MISSING ') ? [note.slice('MISSING '.length)] : [])))]
}

/** The lines; the last one counts. In CI, a test that was skipped for a missing part counts as failed. */
export function closingLines(
  { passed, failed, skipped }: { passed: number; failed: number; skipped: number },
  missing: readonly string[],
  inCi: boolean,
): string[] {
  if (skipped === 0) return [`${passed} passed, ${failed} failed`]
  if (missing.length === 0) return [`${passed} passed, ${failed} failed, ${skipped} skipped`]
  const names = missing.map((line) => line.split(':')[0]).join(', ')
  return [
    ...missing.map((line) => `MISSING ${line}`),
    inCi
      ? `${passed} passed, ${failed + skipped} failed: for want of ${names}`
      : `${passed} passed, ${failed} failed, ${skipped} SKIPPED for want of ${names}`,
  ]
}
