import type { Caller, RelayRequest } from '@bailiwick/relay'
import { type Called, DecidedEntry, type EntryOptions } from '../decided-entry.ts'
import { HttpSender } from '../servers/http-sender.ts'
import { type GitEntry, gitManifest } from './git-entry.ts'
import { gitUpstream } from './git-upstream.ts'

/** How long a clone or a push may take. If its outcome is lost, its reservation is held as long. */
const answerSeconds = 3600
/** How long a server may take to begin its answer, once it has all of a push: it unpacks it, and runs hooks. */
const headMs = 600_000

/** One git server: it has each request decided, and sent once. */
export class GitServer extends DecidedEntry<GitEntry> {
  readonly #sender: HttpSender

  /** Throws `config_invalid`. */
  constructor(options: EntryOptions<GitEntry>) {
    const { entry, secrets } = options
    const { url, inject, private: isPrivate } = entry
    super(options, gitManifest(entry))
    this.#sender = new HttpSender({ url, inject: inject.headers, secrets, isPrivate, headMs })
  }

  /** `pack` follows the request's body, if it is a push. Rejects with a ServiceError for what happened after the permit. */
  call(request: RelayRequest, caller: Caller, gone: AbortSignal, pack?: AsyncIterable<Uint8Array>): Promise<Called> {
    const { entry, server } = this
    return this.admit(caller, async ({ relayTo }) =>
      relayTo(gitUpstream({ server, entry, sender: this.#sender, pack }), {
        ...{ answerSeconds, mostAnswerBytes: entry.most_answer_bytes },
      }).run(request, caller, gone),
    )
  }

  protected end(): Promise<void> {
    return this.#sender[Symbol.asyncDispose]()
  }
}
