import { Can, useSession } from '@tacet/browser/react'
import { useState } from 'react'
import { session } from './session.js'

export function App() {
  const { status, user, can } = useSession()
  if (status === 'loading') return null
  if (status === 'offline') return <p>The server cannot be reached. Trying again…</p>
  if (status === 'signedout') return <SignIn />
  return (
    <>
      <header>
        <b id="user">{user.username}</b>
        {can('orders:write') && <a id="menu-admin" href="#/admin">Administration</a>}
        <button id="sign-out" onClick={() => session.signOut()}>Sign out</button>
      </header>
      <Orders />
    </>
  )
}

function Orders() {
  const [answer, setAnswer] = useState('')
  const create = async () => {
    const r = await session.fetch('/api/orders', {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ item: 'tea' }),
    })
    setAnswer(`${r.status}`)
  }
  return (
    <main>
      <h1>Orders</h1>
      <Can permission="orders:write" fallback={<p id="read-only">You may look, but not order.</p>}>
        <button id="create" onClick={create}>New order</button>
      </Can>
      <output id="answer">{answer}</output>
    </main>
  )
}

function SignIn() {
  const [problem, setProblem] = useState('')
  const submit = (event) => {
    event.preventDefault()
    const { username, password } = Object.fromEntries(new FormData(event.target))
    session.signIn({ username, password }).catch((e) => setProblem(e.message))
  }
  return (
    <form onSubmit={submit}>
      <label>Name <input id="username" name="username" autoComplete="username" /></label>
      <label>Password <input id="password" name="password" type="password" autoComplete="current-password" /></label>
      <button id="sign-in">Sign in</button>
      <p role="alert">{problem}</p>
    </form>
  )
}
