import { useQuery } from '@tanstack/react-query'
import { type ComponentProps, useId, useState } from 'react'
import { api } from '../api.ts'
import type { ListAgentsAnswer } from '../types.ts'

/** The agent that a question is about. Until a person chooses one, it is the first of the list. */
export function useAgentChoice() {
  const { data } = useQuery({ queryKey: ['agents', ''], queryFn: () => api<ListAgentsAnswer>('/agents') })
  const [agent, choose] = useState('')
  const agents = data?.items ?? []
  return { agents, chosen: agent === '' ? (agents[0]?.id ?? '') : agent, choose }
}

export function AgentField({ label, choice }: { label: string; choice: ReturnType<typeof useAgentChoice> }) {
  const id = useId()
  const { agents, chosen, choose } = choice
  return (
    <div className="field">
      <label htmlFor={id}>{label}</label>
      <select id={id} value={chosen} onChange={({ currentTarget }) => choose(currentTarget.value)}>
        {agents.map(({ id, name }) => (
          <option key={id} value={id}>
            {name}
          </option>
        ))}
      </select>
    </div>
  )
}

interface LineFieldProps extends Omit<ComponentProps<'input'>, 'id' | 'value' | 'onChange'> {
  label: string
  value: string
  onChange(value: string): void
}

export function LineField({ label, onChange, ...input }: LineFieldProps) {
  const id = useId()
  return (
    <div className="field">
      <label htmlFor={id}>{label}</label>
      <input id={id} {...input} onChange={({ currentTarget }) => onChange(currentTarget.value)} />
    </div>
  )
}
