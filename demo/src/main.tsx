import { render } from 'preact';
import { Lab } from './lab';
import { applyLanguage, applyTheme, startLanguage, startTheme } from './prefs';
import { App } from './ui/App';
import './style.css';

const language = startLanguage();
const theme = startTheme();
applyLanguage(language);
applyTheme(theme);
render(<App lab={new Lab()} language={language} theme={theme} />, document.getElementById('app')!);
