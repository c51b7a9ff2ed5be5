// Brings in what changed while somebody is looking. Without it, the page is as fresh as its last reload.
setInterval(async () => {
  if (document.hidden) return;
  const reply = await fetch(location.href).catch(() => null);
  if (!reply?.ok) return;
  const fresh = new DOMParser().parseFromString(await reply.text(), "text/html");
  for (const part of document.querySelectorAll("[data-live]")) {
    const other = fresh.getElementById(part.id);
    const busy = part.contains(document.activeElement);
    if (other && !busy && other.innerHTML !== part.innerHTML) part.innerHTML = other.innerHTML;
  }
}, 3000);
