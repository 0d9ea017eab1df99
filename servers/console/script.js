// Comfort only: every page works without this.
const form = document.querySelector('form[data-enter]')
if (form && location.hash.length > 20) {
  form.elements.ticket.value = location.hash.slice(1)
  history.replaceState(null, '', location.pathname)
  form.submit()
}

const news = document.querySelector('[data-waiting]')
if (news) {
  const known = new Set(news.dataset.known.split(' ').filter(Boolean))
  const look = async () => {
    if (document.hidden) return
    const answer = await fetch(news.dataset.waiting, { credentials: 'same-origin' }).catch(() => null)
    if (!answer || !answer.ok) return
    const now = await answer.json()
    news.hidden = now.length === known.size && now.every((id) => known.has(id))
  }
  setInterval(look, 5000)
  document.addEventListener('visibilitychange', look)
}
