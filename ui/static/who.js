() => {
  const key = 'vouch-user';
  let who = null;
  try { who = localStorage.getItem(key); } catch { /* private mode */ }
  if (!/^web-[0-9a-f]{32}$/.test(who ?? '')) {
    const bytes = crypto.getRandomValues(new Uint8Array(16));
    who = 'web-' + Array.from(bytes, (b) => b.toString(16).padStart(2, '0')).join('');
    try { localStorage.setItem(key, who); } catch { /* private mode: a new person each time */ }
  }
  return [who];
}
