import { hashedManifestText, type ToolManifest, toolManifestSchema } from '@bailiwick/contracts'
import { sha256 } from '@bailiwick/credentials'
import { ServiceError } from '@bailiwick/errors'
import { readStrictJsonText } from '@bailiwick/kit'

/** More than all servers of an installation say of themselves. */
const mostCharacters = 128 * 1024 * 1024

/** A manifest in its canonical text, and of what it says only what is needed again: the rest would take several times as much memory. */
export interface ManifestText {
  hash: string
  text: string
  identity: ToolManifest['identity']
  /** The names of its tools. */
  tools: readonly string[]
}

/**
 * Reads the text of a manifest, which an enforcement point sent. Nothing in it is believed: its hash alone says what it is of. Throws
 * `request_malformed` for a text that no page could show.
 */
export function readManifestText(text: string): ManifestText {
  const json = readStrictJsonText(text, { maxBytes: 4 * text.length, maxDepth: 64, exactNumbers: false })
  const read = json.ok ? toolManifestSchema.safeParse(json.value) : undefined
  if (read?.success !== true) throw new ServiceError('request_malformed', 'manifests: not a manifest')
  return {
    hash: sha256(hashedManifestText(text)),
    text,
    identity: read.data.identity,
    tools: Object.keys(read.data.tools),
  }
}

/**
 * What servers of tools say of themselves, by server and hash. In memory alone: the points that see a server send its text again. A server keeps
 * only the texts that something names, so that a server that changes each second takes no more room than another one (V18).
 */
export class ManifestTexts {
  readonly #servers = new Map<string, Map<string, ManifestText>>()
  #characters = 0

  of(server: string, hash: string): ManifestText | undefined {
    return this.#servers.get(server)?.get(hash)
  }

  /** Keeps a text, and of the server's other texts those in `named`. Does nothing if there is no room. */
  put(server: string, text: ManifestText, named: ReadonlySet<string>): void {
    const known = this.#servers.get(server) ?? new Map<string, ManifestText>()
    for (const [hash, each] of known) if (!named.has(hash)) this.#drop(known, hash, each)
    if (known.has(text.hash) || this.#characters + text.text.length > mostCharacters) return
    this.#characters += text.text.length
    this.#servers.set(server, known.set(text.hash, text))
  }

  /** Forgets servers that are no longer registered. */
  keepOnly(servers: ReadonlySet<string>): void {
    for (const [server, texts] of this.#servers) {
      if (servers.has(server)) continue
      for (const [hash, each] of texts) this.#drop(texts, hash, each)
      this.#servers.delete(server)
    }
  }

  #drop(texts: Map<string, ManifestText>, hash: string, { text }: ManifestText): void {
    texts.delete(hash)
    this.#characters -= text.length
  }
}
