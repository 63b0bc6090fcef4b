import type { Entity, ToolServer } from '@bailiwick/contracts'
import { lookAlikes } from '@bailiwick/kit'
import type { Approval } from '../context.ts'
import type { RegistryAsk } from '../requests.ts'
import { isReported } from './report-manifest.ts'

/** What a server of tools says of itself before and after a change, for the change's page; nothing if the text is not here. */
export function manifestChangeOf(
  { manifests }: Pick<Approval, 'manifests'>,
  { type, id, before, after }: { type: string; id: string; before: Entity | null; after: Entity | null },
) {
  if (type !== 'tool-server' || after === null) return {}
  const [then, now] = [before as ToolServer | null, after as ToolServer]
  if (then?.manifest === now.manifest) return {}
  const text = manifests.of(id, now.manifest)
  if (text === undefined) return {}
  return {
    manifest: {
      before: (then && manifests.of(id, then.manifest)?.text) ?? null,
      after: text.text,
      look_alikes: lookAlikes(text.tools),
    },
  }
}

/** Servers of a change that an enforcement point reported whose text is not here: no person could see what they would approve. */
export function unseenManifests(approval: Pick<Approval, 'manifests' | 'projection'>, ask: RegistryAsk): string[] {
  if (!isReported(approval, ask)) return []
  return ask.entities.flatMap(({ type, id, value }) =>
    type === 'tool-server' &&
    value !== undefined &&
    approval.manifests.of(id, (value as ToolServer).manifest) === undefined
      ? [
          `tool-server ${id}: what it says of itself is not here. The gateway sends it again while it sees the server say it`,
        ]
      : [],
  )
}
