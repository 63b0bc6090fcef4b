import { changeCard, diffOf, grantCard, linesOf, requestCard, statementFacts } from './cards.js'
import { api, enrol, sign, signIn, takeInvitation } from './ceremonies.js'
import { ask, el, field, tick, visible } from './dom.js'

const main = document.getElementById('main')
const everyMs = 2000
let hello
let invitation
let view
let signedIn = true
/** Cards by id, kept as they are while what they show stays the same: whoever types in one goes on typing. */
let shown = new Map()

function say(text, kind = 'done') {
  const message = el('p', { class: `message ${kind}` }, visible(text))
  document.getElementById('messages').replaceChildren(message)
  setTimeout(() => message.remove(), kind === 'failed' ? 12_000 : 5000)
}

/** Runs what a click asked for; says what went wrong, and lets nobody click twice meanwhile. */
async function run(action) {
  main.setAttribute('aria-busy', 'true')
  try {
    await action()
  } catch (error) {
    const cancelled = error?.name === 'NotAllowedError' || error?.name === 'AbortError'
    say(cancelled ? 'Nothing was signed.' : (error?.message ?? String(error)), cancelled ? 'done' : 'failed')
  } finally {
    main.setAttribute('aria-busy', 'false')
    signedIn = true
    await refresh()
  }
}

async function approve(item, narrowed) {
  const rendered = await api(`/requests/${item.id}/statement`, narrowed())
  const { statement, statement_hash: hash, lines } = rendered
  const change = statement.kind === 'registry'
  const agreed = await ask({
    title: change ? 'You sign this change' : 'You sign exactly this',
    body: [
      ...(change ? [diffOf(item.diff)] : [linesOf(lines), statementFacts(statement)]),
      el('p', { class: 'id' }, 'Statement ', hash),
    ],
    action: 'Sign with passkey',
  })
  if (!agreed) return
  const answer = await sign(item.id, rendered)
  if (answer.status === 'endorsed') say(`Signed. It takes more people: ${answer.endorsements} so far.`)
  else if (answer.grant === 'refused') say('Approved, but the issuer refused to make the grant.', 'failed')
  else say(answer.applied === false ? 'Approved; it is not in force yet.' : 'Approved.')
}

async function withReason({ title, text, action, danger }) {
  const data = await ask({
    title,
    body: [
      el('p', {}, text),
      field('Reason', el('textarea', { name: 'reason', rows: 2, maxlength: 2000 }), 'Optional'),
    ],
    action,
    danger,
  })
  const reason = data?.get('reason')
  return data && (reason === '' ? {} : { reason })
}

const actions = {
  approve: (item, narrowed) => run(() => approve(item, narrowed)),
  deny: (item) =>
    run(async () => {
      const body = await withReason({
        title: 'Deny',
        text: 'It gets nothing, and can ask again.',
        action: 'Deny it',
        danger: true,
      })
      if (!body) return
      await api(`/requests/${item.id}/deny`, body)
      say('Denied.')
    }),
  withdraw: (grant) =>
    run(async () => {
      const body = await withReason({
        title: 'Withdraw',
        text: 'The agent, and everything it passed on, stops at once and for good.',
        action: 'Withdraw it now',
        danger: true,
      })
      if (!body) return
      const { revoked_sequence } = await api(`/requests/${grant.request_id}/withdraw`, body)
      say(`Withdrawn: revocation ${revoked_sequence} is recorded.`)
    }),
}

function welcome() {
  const id = el('input', { name: 'id', required: true, value: 'owner', autocomplete: 'off', maxlength: 255 })
  const name = el('input', { name: 'name', required: true, autocomplete: 'name', maxlength: 200 })
  return el(
    'form',
    {
      class: 'card narrowcard',
      onsubmit: (event) => {
        event.preventDefault()
        run(async () => {
          await enrol(invitation, id.value, name.value)
          invitation = undefined
          hello = await api('/hello')
          say('You are enrolled.')
        })
      },
    },
    el('h1', {}, 'Become the first approver'),
    el(
      'p',
      {},
      'The invitation that you opened makes one passkey the first approver’s, once. It stays in this browser; it is not sent.',
    ),
    field('Approver id', id, 'How the registry and the evidence name you'),
    field('Your name', name),
    el('div', { class: 'actions' }, el('button', { type: 'submit', class: 'primary' }, 'Create passkey and enrol')),
  )
}

function uninvited() {
  return el(
    'section',
    { class: 'card narrowcard' },
    el('h1', {}, 'Nobody is enrolled yet'),
    el('p', {}, 'Open the invitation’s address: whoever started Bailiwick sees it in the terminal.'),
  )
}

function door() {
  const id = el('input', { name: 'id', autocomplete: 'username', maxlength: 255 })
  return el(
    'form',
    {
      class: 'card narrowcard',
      onsubmit: (event) => {
        event.preventDefault()
        run(() => signIn(id.value))
      },
    },
    el('h1', {}, 'Sign in'),
    invitation ? el('p', { class: 'note' }, 'The invitation was used already.') : undefined,
    el('p', {}, 'What agents ask for, and what was approved, is shown to approvers only.'),
    el('details', {}, el('summary', {}, 'My security key keeps no list of passkeys'), field('Approver id', id)),
    el('div', { class: 'actions' }, el('button', { type: 'submit', class: 'primary' }, 'Sign in with passkey')),
  )
}

function section(title, items, make, none) {
  const cards = items.map((item) => {
    const known = shown.get(item.id)
    const json = JSON.stringify(item)
    const card = known?.json === json ? known.card : make(item, actions)
    return { id: item.id, json, card }
  })
  for (const card of cards) shown.set(card.id, card)
  return el(
    'section',
    {},
    el('h2', {}, title, ' ', el('span', { class: 'count' }, String(items.length))),
    ...cards.map(({ card }) => card),
    items.length === 0 ? el('p', { class: 'none' }, none) : undefined,
  )
}

function desk(state) {
  const before = shown
  shown = new Map(before)
  const sections = [
    section('Waiting for an answer', state.requests, requestCard, 'No agent waits for you.'),
    section('Changes of the registry', state.changes, changeCard, 'None is proposed.'),
    section('Grants', state.grants, grantCard, 'Nothing is granted.'),
  ]
  const ids = new Set([...state.requests, ...state.changes, ...state.grants].map(({ id }) => id))
  shown = new Map([...shown].filter(([id]) => ids.has(id)))
  return el('div', { class: 'desk' }, ...sections)
}

function frame(me, fresh) {
  document.getElementById('where').replaceChildren(visible(hello.installation))
  const out = el(
    'button',
    { type: 'button', class: 'quiet', onclick: () => run(() => api('/session/end', {})) },
    'Sign out',
  )
  document.getElementById('who').replaceChildren(...(me ? [visible(me.name), ' ', out] : []))
  const warnings = [
    hello.single_operator
      ? el(
          'p',
          { class: 'warning' },
          el('strong', {}, 'Single operator. '),
          'One person’s passkey is enough for everything here, approving their own agents included. Not for production.',
        )
      : undefined,
    fresh
      ? undefined
      : el(
          'p',
          { class: 'warning stale' },
          'What you see may be old: the issuer’s word is not fresh. Approving waits; denying and withdrawing work.',
        ),
  ]
  document.getElementById('warnings').replaceChildren(...warnings.filter(Boolean))
}

/** Nobody is signed in, or no longer: then there is nothing to ask for again and again. */
function stateOrNothing() {
  return api('/state').catch((error) => (error.status === 401 ? undefined : Promise.reject(error)))
}

async function refresh() {
  try {
    hello ??= await api('/hello')
    if (!hello.enrolled) hello = await api('/hello')
    const state = hello.enrolled && signedIn ? await stateOrNothing() : undefined
    signedIn = state !== undefined
    frame(state?.me, state?.fresh ?? true)
    const next = state ? 'desk' : hello.enrolled ? 'door' : invitation ? 'welcome' : 'uninvited'
    // Forms stay while somebody fills them in; the desk is brought up to date card by card.
    if (next === 'desk') {
      const { now: _, ...facts } = state
      const json = JSON.stringify(facts)
      if (main.dataset.json !== json) {
        const active = document.activeElement
        main.replaceChildren(desk(state))
        if (main.contains(active)) active.focus()
      }
      main.dataset.json = json
    } else if (next !== view) {
      main.replaceChildren({ door, welcome, uninvited }[next]())
      delete main.dataset.json
    }
    view = next
    tick()
  } catch (error) {
    say(error?.message ?? String(error), 'failed')
  }
}

try {
  invitation = await takeInvitation()
} catch {
  say('The invitation in the address cannot be read.', 'failed')
}
await refresh()
main.setAttribute('aria-busy', 'false')
setInterval(refresh, everyMs)
