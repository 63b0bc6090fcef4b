import { type ComponentType, lazy } from 'react'

// The code of everything except the first view, the rows of the inbox. It is loaded once the rows are there, so that no later page waits for it.
const loads = {
  AgentPage: () => import('../agent/agent-page.tsx').then(({ AgentPage }) => AgentPage),
  AgentsPage: () => import('./agents.tsx').then(({ AgentsPage }) => AgentsPage),
  EmergencyPage: () => import('./emergency.tsx').then(({ EmergencyPage }) => EmergencyPage),
  EvidencePage: () => import('./evidence-search.tsx').then(({ EvidencePage }) => EvidencePage),
  GrantsPage: () => import('./grants.tsx').then(({ GrantsPage }) => GrantsPage),
  PeoplePage: () => import('./people.tsx').then(({ PeoplePage }) => PeoplePage),
  RequestPage: () => import('./request.tsx').then(({ RequestPage }) => RequestPage),
  RetireRecoveryDialog: () => import('./people-dialogs.tsx').then(({ RetireRecoveryDialog }) => RetireRecoveryDialog),
  RulesPage: () => import('../workbench/rules-page.tsx').then(({ RulesPage }) => RulesPage),
  TracePage: () => import('./evidence-trace.tsx').then(({ TracePage }) => TracePage),
  Workbench: () => import('../workbench/workbench.tsx').then(({ Workbench }) => Workbench),
}

function lazily<P extends object>(load: () => Promise<ComponentType<P>>) {
  return lazy(async () => ({ default: await load() }))
}

export const later = {
  AgentPage: lazily(loads.AgentPage),
  AgentsPage: lazily(loads.AgentsPage),
  EmergencyPage: lazily(loads.EmergencyPage),
  EvidencePage: lazily(loads.EvidencePage),
  GrantsPage: lazily(loads.GrantsPage),
  PeoplePage: lazily(loads.PeoplePage),
  RequestPage: lazily(loads.RequestPage),
  RetireRecoveryDialog: lazily(loads.RetireRecoveryDialog),
  RulesPage: lazily(loads.RulesPage),
  TracePage: lazily(loads.TracePage),
  Workbench: lazily(loads.Workbench),
}

const calmMs = 2000

/** Loads them all, a moment after the first view. One that fails is loaded again when it is shown. */
export function loadLater(): () => void {
  const timer = setTimeout(() => {
    for (const load of Object.values(loads)) void load().catch(() => undefined)
  }, calmMs)
  return () => clearTimeout(timer)
}
