import { SessionProvider } from '@tacet/browser/react'
import { StrictMode } from 'react'
import { createRoot } from 'react-dom/client'
import { App } from './App.jsx'
import { grants } from './session.js'

createRoot(document.getElementById('app')).render(
  <StrictMode>
    <SessionProvider grants={grants}>
      <App />
    </SessionProvider>
  </StrictMode>,
)
