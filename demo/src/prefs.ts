// What the visitor chose; kept in this browser only.
import type { Language } from './i18n';

export type Theme = 'auto' | 'light' | 'dark';

function read(key: string): string | null {
  try {
    return localStorage.getItem(`tacet-demo-${key}`);
  } catch {
    return null; // storage is forbidden: the page forgets, nothing else
  }
}

function write(key: string, value: string): void {
  try {
    localStorage.setItem(`tacet-demo-${key}`, value);
  } catch {
    // see read
  }
}

export function startLanguage(): Language {
  const saved = read('language');
  if (saved === 'en' || saved === 'zh') return saved;
  return navigator.languages.some((l) => l.toLowerCase().startsWith('zh')) &&
    !navigator.languages[0]?.toLowerCase().startsWith('en') ? 'zh' : 'en';
}

export function startTheme(): Theme {
  const saved = read('theme');
  return saved === 'light' || saved === 'dark' ? saved : 'auto';
}

export function applyLanguage(l: Language): void {
  document.documentElement.lang = l === 'zh' ? 'zh-Hans' : 'en';
  write('language', l);
}

export function applyTheme(t: Theme): void {
  document.documentElement.dataset.theme = t;
  write('theme', t);
}
