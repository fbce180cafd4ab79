import { useState } from 'preact/hooks';
import type { Key, Translate } from '../i18n';
import type { Lab } from '../lab';

const USERS = [
  { name: 'alice', password: 'alice-password', role: 'alice_role' },
  { name: 'bob', password: 'bob-password', role: 'bob_role' },
] as const;

export function SignIn({ lab, t }: { lab: Lab; t: Translate }) {
  const [username, setUsername] = useState<string>(USERS[0].name);
  const [password, setPassword] = useState<string>(USERS[0].password);
  const [error, setError] = useState<Key>();
  const [busy, setBusy] = useState(false);
  const submit = async (e: Event) => {
    e.preventDefault();
    setBusy(true);
    setError(undefined);
    setError(await lab.signIn(username, password));
    setBusy(false);
  };
  return (
    <form class="panel card sign-in" onSubmit={submit} aria-labelledby="sign-in-title">
      <h2 id="sign-in-title">{t('sign_in')}</h2>
      <fieldset class="choices">
        <legend class="sub">{t('sign_in_as')}</legend>
        {USERS.map((u) => (
          <label key={u.name} class={username === u.name ? 'choice chosen' : 'choice'}>
            <input type="radio" name="user" checked={username === u.name} onChange={() => { setUsername(u.name); setPassword(u.password); setError(undefined); }} />
            <b>{u.name}</b>
            <span>{t(u.role)}</span>
          </label>
        ))}
      </fieldset>
      <label class="field">{t('username')}
        <input id="username" autocomplete="username" required value={username} onInput={(e) => setUsername(e.currentTarget.value)} />
      </label>
      <label class="field">{t('password')}
        <input id="password" type="password" autocomplete="current-password" required value={password} onInput={(e) => setPassword(e.currentTarget.value)} />
      </label>
      <p class="result bad" role="alert">{error && t(error)}</p>
      <button type="submit" id="sign-in" class="primary" disabled={busy}>{t(busy ? 'signing_in' : 'sign_in')}</button>
    </form>
  );
}
