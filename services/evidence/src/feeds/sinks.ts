import type { SinksConfig } from '@bailiwick/host'
import type { Clock } from '@bailiwick/kit'
import type { Destination } from './feed.ts'
import { assertFileSink, fileSink } from './file-sink.ts'
import { readOtlpHeaders } from './otlp-headers.ts'
import { otlpSink } from './otlp-sink.ts'

/** Throws `config_invalid` for settings that cannot work: a missing folder, a missing file, a line that is not a header. */
export async function assertSinks({ otlp, file }: SinksConfig): Promise<void> {
  if (otlp?.headersFile !== undefined) await readOtlpHeaders(otlp.headersFile)
  if (file !== undefined) await assertFileSink(file.path)
}

export function sinkDestinations(
  { otlp, file, backlog: bound }: SinksConfig,
  about: { installation: string; origin: string; clock: Clock },
): Destination[] {
  const { installation, origin, clock } = about
  return [
    ...(otlp === undefined ? [] : [otlpSink({ ...otlp, installation, bound, clock })]),
    ...(file === undefined ? [] : [fileSink({ ...file, origin, bound })]),
  ]
}
