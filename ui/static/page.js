// Runs once per HTML part of the page (header, conversation, panel); `element`, `trigger`, `watch` come from Gradio.
const open = (window.vouchOpen ??= new Set());
const EVENT = 'act';

const applyOpen = () => {
  for (const why of element.querySelectorAll('.v-why')) why.hidden = !open.has(why.dataset.key);
  for (const button of element.querySelectorAll('[data-toggle]'))
    button.setAttribute('aria-expanded', String(open.has(button.dataset.toggle)));
};

const setTheme = (dark) => {
  document.body.classList.toggle('dark', dark);
  document.documentElement.style.colorScheme = dark ? 'dark' : 'light';
};

const savedTheme = () => {
  try { return localStorage.getItem('vouch-theme'); } catch { return null; }
};

const focusComposer = () => {
  if (matchMedia('(pointer: fine)').matches) document.querySelector('#v-composer textarea')?.focus();
};

element.addEventListener('click', (event) => {
  const button = event.target.closest('button');
  if (!button || !element.contains(button)) return;
  const { toggle, confirm: question, ...data } = button.dataset;
  if (toggle !== undefined) {
    open.has(toggle) ? open.delete(toggle) : open.add(toggle);
    applyOpen();
  } else if (data.do === 'theme') {
    const dark = !document.body.classList.contains('dark');
    setTheme(dark);
    try { localStorage.setItem('vouch-theme', dark ? 'dark' : 'light'); } catch { /* private mode */ }
  } else if (data.do && (!question || window.confirm(question))) {
    if (data.do === 'restart' || data.do === 'forget-all') open.clear();
    button.classList.add('v-pressed');
    trigger(EVENT, data);
    if (data.do === 'say' || data.do === 'restart') focusComposer();
  }
});

let turns = 0;
const followTalk = () => {
  for (const pressed of element.querySelectorAll('.v-pressed')) pressed.classList.remove('v-pressed');
  applyOpen();
  const all = element.querySelectorAll('.v-turn');
  if (all.length > turns) {
    const calm = matchMedia('(prefers-reduced-motion: reduce)').matches;
    all[all.length - 1].scrollIntoView({ block: 'start', behavior: calm ? 'auto' : 'smooth' });
  }
  turns = all.length;
};
watch('value', followTalk);

if (element.querySelector('.v-header')) {
  const saved = savedTheme();
  if (saved) setTheme(saved === 'dark');
}
// Gradio's send button has a picture only; it may be mounted after this runs.
const nameSend = (tries) => {
  const send = document.querySelector('#v-composer button');
  if (send) send.setAttribute('aria-label', 'Send');
  else if (tries > 0) setTimeout(() => nameSend(tries - 1), 100);
};

if (element.querySelector('.v-talk')) {
  nameSend(100);
  focusComposer();
  document.addEventListener('keydown', (event) => {
    const typing = event.target.closest?.('input, textarea, select, [contenteditable]');
    if (event.key === '/' && !typing && !event.ctrlKey && !event.metaKey && !event.altKey) {
      event.preventDefault();
      document.querySelector('#v-composer textarea')?.focus();
    }
  });
}
// Gradio looks for the event's name in this text: 'act'
