import { QueryClient, QueryClientProvider } from '@tanstack/react-query'
import { StrictMode } from 'react'
import { createRoot } from 'react-dom/client'
import { Problem } from './api.ts'
import { App } from './app.tsx'
import { type Invitation, takeInvitation, wordInAddress } from './ceremonies.ts'
import { Boundary } from './ui/boundary.tsx'
import { Messages } from './ui/say.tsx'

const client = new QueryClient({
  defaultOptions: {
    queries: {
      // A request that the server refused will be refused again.
      retry: (failures, error) => failures < 2 && !(error instanceof Problem && error.status < 500),
      staleTime: 1000,
      networkMode: 'always',
    },
  },
})

let invitation: Invitation | undefined
let unreadable = false
try {
  invitation = await takeInvitation()
} catch {
  unreadable = true
}

createRoot(document.getElementById('root') as HTMLElement).render(
  <StrictMode>
    <Boundary>
      <QueryClientProvider client={client}>
        <Messages>
          <App invitation={invitation} unreadable={unreadable} />
        </Messages>
      </QueryClientProvider>
    </Boundary>
  </StrictMode>,
)

// Opening an address with a proof in a tab that has the console changes only the fragment: the page then starts again
// with it.
window.addEventListener('hashchange', () => {
  if (wordInAddress() !== undefined) location.reload()
})
