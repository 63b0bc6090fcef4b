import { setTimeout as pause } from 'node:timers/promises'

/** Repeats what was not answered, as a caller would whose answer was lost; throws the last error after `withinMs`, or once `stopped`. */
export async function again<T>(
  act: () => Promise<T>,
  { withinMs = 60_000, stopped = () => false }: { withinMs?: number; stopped?: () => boolean } = {},
): Promise<T> {
  const deadline = performance.now() + withinMs
  for (;;) {
    try {
      return await act()
    } catch (error) {
      if (stopped() || performance.now() > deadline) throw error
      await pause(100)
    }
  }
}
