import type { EntityDiff, Rule } from '../types.ts'
import { leafDifference } from '../ui/leaf-difference.ts'
import { Visible } from '../ui/visible.tsx'
import { Difference } from './evidence.tsx'
import { ManifestText } from './manifest-text.tsx'
import { PolicyText } from './policy-text.tsx'
import { RuleSentence } from './rule-sentence.tsx'

const verbs = { register: 'Register', change: 'Change', retire: 'Retire' }

/** What is removed and what is added, leaf by leaf. */
export function RegistryDiff({ diff }: { diff: EntityDiff[] }) {
  return (
    <div className="entity-diffs">
      {diff.map(({ type, id, verb, before, after, effect, text, manifest }) => (
        <section key={`${type} ${id}`}>
          <h3>
            {verbs[verb]} {type} <Visible text={id} />
          </h3>
          {effect === undefined ? null : (
            <p className="sentence">
              <Visible text={effect} />
            </p>
          )}
          {type === 'rule' && verb !== 'retire' ? <RuleSentence rule={after as Rule} /> : null}
          <Difference lines={leafDifference(before, after)} />
          {text === undefined ? null : <PolicyText text={text} />}
          {manifest === undefined ? null : <ManifestText manifest={manifest} />}
          {type === 'tool-server' ? (
            <UnseenOrGuessed before={before} after={after} isShown={manifest !== undefined} />
          ) : null}
        </section>
      ))}
    </div>
  )
}

interface ToolServerShown {
  manifest: string
  tools: Record<string, { labels: string[] }>
}

/** What a signer of a tool server's entry must check elsewhere. */
function UnseenOrGuessed({ before, after, isShown }: { before: unknown; after: unknown; isShown: boolean }) {
  const [then, now] = [before as ToolServerShown | null, after as ToolServerShown | null]
  if (now === null) return null
  const guessed = Object.entries(now.tools).flatMap(([name, { labels }]) => (labels.includes('guessed') ? [name] : []))
  return (
    <>
      {isShown || then?.manifest === now.manifest ? null : (
        <p className="note warn">
          Only the hash of what this server says of itself is here. Ask the proposer to show you the descriptions.
        </p>
      )}
      {guessed.length === 0 ? null : (
        <p className="note warn">
          The labels of <Visible text={guessed.join(', ')} /> are guesses, which no person has checked.
        </p>
      )}
    </>
  )
}
