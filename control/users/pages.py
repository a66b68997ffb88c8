"""The pages that users meet: one document each, with nothing from elsewhere, and every input escaped."""

import base64
import hashlib
from html import escape

_STYLE = """
:root { color-scheme: light dark; font: 1rem/1.5 system-ui, sans-serif }
body { margin: 0; min-height: 100vh; display: grid; place-items: center }
main { width: min(26rem, 100% - 2rem); padding: 2rem 0 }
h1 { font-size: 1.5rem; line-height: 1.2; margin: 0 0 1rem; overflow-wrap: anywhere }
label { display: block; font-weight: 600 }
input, button { font: inherit; width: 100%; box-sizing: border-box; padding: .7rem; margin: .3rem 0 1rem }
input, button { border-radius: .4rem }
input { border: 1px solid GrayText }
button { border: 0; background: #1d4ed8; color: #fff; font-weight: 600; cursor: pointer }
button[disabled] { opacity: .6; cursor: progress }
input:focus-visible, button:focus-visible { outline: 3px solid #f59e0b; outline-offset: 2px }
[role=alert] { color: #b91c1c }
@media (prefers-color-scheme: dark) { [role=alert] { color: #fca5a5 } }
"""

# crypto.randomUUID is there only where the page came over TLS or from this machine. An answer that was lost is asked
# for again with the same id; another e-mail is another request.
_COMMON = """
const main = document.querySelector('main'), form = document.querySelector('form');
const button = document.querySelector('button'), said = document.querySelector('[role=alert]');
let asked, askedId;
function requestId(what) {
  if (what === asked) return askedId;
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  bytes[6] = bytes[6] & 15 | 64; bytes[8] = bytes[8] & 63 | 128;
  asked = what;
  const digits = Array.from(bytes, b => b.toString(16).padStart(2, '0')).join('');
  askedId = digits.replace(/^(.{8})(.{4})(.{4})(.{4})/, '$1-$2-$3-$4-');
  return askedId;
}
async function post(path, body) {
  const answer = await fetch(path, {method: 'POST', headers: {'content-type': 'application/json'},
    body: JSON.stringify(body)});
  const found = await answer.json().catch(() => ({}));
  if (answer.ok) return found;
  throw new Error(found.message || 'It did not work; please try again.');
}
const KEPT = 'registrations';
function kept() {
  try { return JSON.parse(localStorage.getItem(KEPT)) || [] } catch { return [] }
}
function keep(secrets) {
  try { localStorage.setItem(KEPT, JSON.stringify(secrets.slice(-20))) } catch {}
}
function tell(title, text) {
  main.replaceChildren(Object.assign(document.createElement('h1'), {textContent: title, tabIndex: -1}),
    Object.assign(document.createElement('p'), {textContent: text}));
  main.firstChild.focus();
}
form.addEventListener('submit', async event => {
  event.preventDefault();
  said.textContent = ''; button.disabled = true;
  try { await send() } catch (error) { said.textContent = error.message; button.disabled = false }
});
"""

_REGISTER = (
    _COMMON
    + """
async function send() {
  const told = form.dataset, email = form.elements.email.value;
  const answer = await post('/v1/users:register', {email, solution_id: told.solution, redirect_url: told.redirect,
    state: told.state, request_id: requestId(email)});
  if (answer.registration_secret) keep([...kept(), answer.registration_secret]);
  if (answer.redirect_url) location.replace(answer.redirect_url);
  else tell('Look into your mailbox',
    'We sent a link to ' + email + '. Open it in this browser to go on. It holds for 24 hours.');
}
"""
)

_VERIFY = (
    _COMMON
    + """
const token = location.hash.slice(1);
history.replaceState(null, '', location.pathname);
if (!token) tell('This link is not complete', 'Open the link in the mail once more, or copy all of it.');
async function send() {
  const answer = await post('/v1/users:verifyEmail', {token, registration_secrets: kept(),
    request_id: requestId(token)});
  if (answer.redirect_url) location.replace(answer.redirect_url);
  else tell('Your e-mail is verified', 'You can close this page.');
}
"""
)


def register(name: str, solution_id: str, redirect_url: str, state: str) -> str:
    """The form that registers an e-mail with the solution called `name`."""
    told = {"solution": solution_id, "redirect": redirect_url, "state": state}
    attributes = "".join(f' data-{key}="{escape(value)}"' for key, value in told.items())
    return _document(
        f"Register with {name}",
        f"<form{attributes}>"
        '<label for="email">E-mail</label>'
        '<input id="email" name="email" type="email" required maxlength="254" autocomplete="email" autofocus>'
        "<button>Register</button></form>",
        _REGISTER,
    )


def verify() -> str:
    """The button that uses a link: programs that open links in mails press none."""
    return _document("Verify your e-mail", "<form><button autofocus>Verify</button></form>", _VERIFY)


_WRONG_LINKS = {
    "SOLUTION_NOT_FOUND": "There is no such application: the link is mistyped, or the application is gone.",
    "REDIRECT_URL_UNKNOWN": "It leads back to where the application sends nobody.",
    "REDIRECT_URL_MISSING": "The application does not say where to go on after registration.",
}


def refused(reason: str) -> str:
    """For people whose register link is wrong. reason: as in the error that programs get."""
    text = _WRONG_LINKS.get(reason, "It does not say what it has to say.")
    return _document("This link does not work", f"<p>{text} Ask whoever gave it to you for another one.</p>")


def _document(title: str, body: str, script: str = "") -> str:
    live = '<p role="alert"></p><noscript><p>This page needs JavaScript.</p></noscript>' if script else ""
    run = f"<script>{script}</script>" if script else ""
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<meta name="referrer" content="no-referrer"><meta name="robots" content="noindex">'
        f"<title>{escape(title)}</title><style>{_STYLE}</style></head>"
        f"<body><main><h1>{escape(title)}</h1>{body}{live}</main>{run}</body></html>"
    )


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


# Scripts and styles are ours by their hashes; nothing else runs, whatever is smuggled into a page.
_POLICY = (
    "default-src 'none'; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
    f"script-src {_hash(_REGISTER)} {_hash(_VERIFY)}; style-src {_hash(_STYLE)}"
)

HEADERS = (
    ("content-security-policy", _POLICY),
    ("referrer-policy", "no-referrer"),
    ("x-content-type-options", "nosniff"),
    ("cache-control", "no-store"),
)
