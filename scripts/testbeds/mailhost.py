"""Real mail servers on loopback, in a folder of their own: Postfix takes and forwards, Dovecot keeps the mailboxes.

`home.test` is ours: alice sends and reads, bob reads. `away.test` is the rest of the world, a second Postfix listener
that refuses `gone` (5.1.1), `full` (5.2.2) and `strict` (5.7.1, as spam), and puts `slow` off (4.2.1).
Needs root, as Postfix does; the programs come from Debian's packages postfix and dovecot-imapd.
"""

import asyncio
import contextlib
import datetime
import ipaddress
import os
import pwd
import shutil
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from testbeds.processes import free_port, plain_environment
from testbeds.report import Failed

PASSWORDS = {"alice": "wonder-land", "bob": "the-builder"}
_PROGRAMS = ("postfix", "dovecot", "doveadm")


@dataclass(frozen=True, slots=True)
class MailHost:
    """Where the servers are; `ca` is the file that makes their certificate trusted."""

    imap: int
    imap_starttls: int
    smtp: int
    smtp_starttls: int
    ca: Path
    folder: Path

    def variables(self, user: str = "alice", *, starttls: bool = False) -> dict[str, str]:
        """The variables of a connection."""
        imap, smtp = (self.imap_starttls, self.smtp_starttls) if starttls else (self.imap, self.smtp)
        mode = "starttls" if starttls else "tls"
        return {
            "imap": f"127.0.0.1:{imap};{mode}",
            "smtp": f"127.0.0.1:{smtp};{mode}",
            "address": f"{user}@home.test",
        }


def missing() -> str:
    """Why the servers cannot be run here; empty when they can."""
    absent = [name for name in _PROGRAMS if shutil.which(name, path=_PATH) is None]
    if absent:
        return f"not installed: {', '.join(absent)} (Debian: postfix dovecot-imapd)"
    return "" if os.geteuid() == 0 else "Postfix must be started by root"


_PATH = f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/sbin"


@contextlib.asynccontextmanager
async def mail_host(folder: Path) -> AsyncGenerator[MailHost]:
    """Start both servers below `folder`, and stop them at the end. Raises `Failed` when they do not start."""
    ports = [free_port() for _ in range(5)]
    imap, imap_starttls, smtp, smtp_starttls, away = ports
    host = MailHost(imap, imap_starttls, smtp, smtp_starttls, folder / "ca.pem", folder)
    make_certificate(folder)
    _write_dovecot(host)
    _write_postfix(host, away)
    postfix, dovecot = str(folder / "postfix"), str(folder / "dovecot.conf")
    try:
        await _do(folder, "dovecot", "-c", dovecot)
        await _do(folder, "postfix", "-c", postfix, "start")
        for port in ports:
            await _until_open(port)
        yield host
    finally:
        for command in (("postfix", "-c", postfix, "stop"), ("doveadm", "-c", dovecot, "stop")):
            with contextlib.suppress(Failed):
                await _do(folder, *command)


async def _do(folder: Path, program: str, *words: str) -> None:
    """Run a command that may leave daemons behind: what they inherit is a file, not a pipe that never ends."""
    path = shutil.which(program, path=_PATH) or program
    log = folder / f"{program}.out"
    with log.open("ab") as out:
        process = await asyncio.create_subprocess_exec(
            path, *words, env=plain_environment(Path("/"), PATH=_PATH), stdin=asyncio.subprocess.DEVNULL, stdout=out,
            stderr=out,
        )  # fmt: skip
        async with asyncio.timeout(30):
            code = await process.wait()
    if code:
        raise Failed(f"{program} ended with {code}: {log.read_text(errors='replace').strip()[-400:]}")


async def _until_open(port: int) -> None:
    for _ in range(200):
        with contextlib.suppress(OSError):
            _, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.close()
            return
        await asyncio.sleep(0.05)
    raise Failed(f"nothing listens on port {port}")


def make_certificate(folder: Path) -> None:
    """Make the folder readable for the servers' own users; in it `key.pem`, `cert.pem` and `ca.pem`, the same again."""
    folder.chmod(0o755)
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "mail test bed")])
    now = datetime.datetime.now(datetime.UTC)
    names = [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(days=2))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem = certificate.public_bytes(serialization.Encoding.PEM)
    (folder / "cert.pem").write_bytes(pem)
    (folder / "ca.pem").write_bytes(pem)
    private = folder / "key.pem"
    private.touch(mode=0o600)
    private.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )


def _write_dovecot(host: MailHost) -> None:
    folder = host.folder
    mail = pwd.getpwnam("mail")
    boxes = folder / "mail"
    for user in PASSWORDS:
        box = boxes / user
        box.mkdir(parents=True)
        os.chown(box, mail.pw_uid, mail.pw_gid)
    os.chown(boxes, mail.pw_uid, mail.pw_gid)
    users = "".join(
        f"{user}@home.test:{{PLAIN}}{word}:{mail.pw_uid}:{mail.pw_gid}::{boxes / user}\n"
        for user, word in PASSWORDS.items()
    )
    (folder / "users").write_text(users, encoding="utf-8")
    queue = folder / "queue"
    (folder / "dovecot.conf").write_text(
        f"""
base_dir = {folder}/dovecot-run
state_dir = {folder}/dovecot-state
log_path = {folder}/dovecot.log
protocols = imap
listen = 127.0.0.1
ssl = required
ssl_cert = <{folder}/cert.pem
ssl_key = <{folder}/key.pem
disable_plaintext_auth = yes
auth_mechanisms = plain login
auth_failure_delay = 0 secs
first_valid_uid = 1
first_valid_gid = 1
mail_location = maildir:~/Maildir
passdb {{
  driver = passwd-file
  args = {folder}/users
}}
userdb {{
  driver = passwd-file
  args = {folder}/users
}}
namespace inbox {{
  inbox = yes
  mailbox Sent {{
    special_use = \\Sent
    auto = create
  }}
  mailbox Drafts {{
    special_use = \\Drafts
    auto = create
  }}
  mailbox Trash {{
    special_use = \\Trash
    auto = create
  }}
}}
service imap-login {{
  inet_listener imap {{
    port = {host.imap_starttls}
  }}
  inet_listener imaps {{
    port = {host.imap}
    ssl = yes
  }}
}}
service auth {{
  unix_listener {queue}/private/auth {{
    mode = 0666
  }}
}}
service anvil {{
  chroot =
}}
""",
        encoding="utf-8",
    )


def _write_postfix(host: MailHost, away: int) -> None:
    folder = host.folder
    config, queue, data = folder / "postfix", folder / "queue", folder / "postfix-data"
    for path in (config, queue, queue / "private", data):
        path.mkdir(exist_ok=True)
    postfix = pwd.getpwnam("postfix")
    os.chown(data, postfix.pw_uid, -1)
    os.chown(queue / "private", postfix.pw_uid, -1)
    mail = pwd.getpwnam("mail")
    (config / "boxes").write_text(
        "".join(f"{user}@home.test {user}/Maildir/\n" for user in PASSWORDS), encoding="utf-8"
    )
    (config / "away").write_text(
        "gone@away.test 550 5.1.1 The email account that you tried to reach does not exist\n"
        "full@away.test 552 5.2.2 The recipient's mailbox is full\n"
        "strict@away.test 554 5.7.1 Message refused: it looks like spam\n"
        "slow@away.test 450 4.2.1 The recipient is receiving mail too quickly, try again later\n",
        encoding="utf-8",
    )
    (config / "transport").write_text(f"away.test smtp:[127.0.0.1]:{away}\n", encoding="utf-8")
    (config / "main.cf").write_text(
        f"""
compatibility_level = 3.6
queue_directory = {queue}
data_directory = {data}
maillog_file = {folder}/postfix.log
maillog_file_prefixes = {folder}
myhostname = mail.home.test
mydestination =
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
mynetworks =
alias_maps =
local_transport = error:no local users
virtual_mailbox_domains = home.test
virtual_mailbox_base = {folder}/mail
virtual_mailbox_maps = texthash:{config}/boxes
virtual_uid_maps = static:{mail.pw_uid}
virtual_gid_maps = static:{mail.pw_gid}
virtual_minimum_uid = 1
recipient_delimiter = +
transport_maps = texthash:{config}/transport
smtpd_sasl_type = dovecot
smtpd_sasl_path = private/auth
smtpd_tls_cert_file = {folder}/cert.pem
smtpd_tls_key_file = {folder}/key.pem
smtpd_tls_security_level = encrypt
smtpd_tls_auth_only = yes
smtpd_sasl_auth_enable = yes
smtpd_relay_restrictions = permit_sasl_authenticated, reject
smtpd_recipient_restrictions = reject_unlisted_recipient, permit_sasl_authenticated, reject
smtp_dns_support_level = disabled
minimal_backoff_time = 1s
maximal_backoff_time = 2s
queue_run_delay = 1s
delay_warning_time = 1s
message_size_limit = 2000000
""",
        encoding="utf-8",
    )
    services = "pickup unix n - n 60 1 pickup\n" + "".join(
        f"{name} unix {private} {'n' if name == 'virtual' else '-'} n {wake} {most} {program}\n"
        for name, private, wake, most, program in (
            ("cleanup", "n", "-", "0", "cleanup"),
            ("qmgr", "n", "1", "1", "qmgr"),
            ("rewrite", "-", "-", "-", "trivial-rewrite"),
            ("bounce", "-", "-", "0", "bounce"),
            ("defer", "-", "-", "0", "bounce"),
            ("trace", "-", "-", "0", "bounce"),
            ("verify", "-", "-", "1", "verify"),
            ("proxymap", "-", "-", "-", "proxymap"),
            ("smtp", "-", "-", "-", "smtp"),
            ("relay", "-", "-", "-", "smtp"),
            ("error", "-", "-", "-", "error"),
            ("retry", "-", "-", "-", "error"),
            ("virtual", "-", "-", "-", "virtual"),
            ("anvil", "-", "-", "1", "anvil"),
            ("scache", "-", "-", "1", "scache"),
            ("tlsmgr", "-", "1000?", "1", "tlsmgr"),
        )
    )
    (config / "master.cf").write_text(
        f"127.0.0.1:{host.smtp_starttls} inet n - n - - smtpd\n"
        f"127.0.0.1:{host.smtp} inet n - n - - smtpd\n  -o smtpd_tls_wrappermode=yes\n"
        f"127.0.0.1:{away} inet n - n - - smtpd\n"
        "  -o myhostname=mx.away.test -o smtpd_tls_security_level=none -o smtpd_sasl_auth_enable=no\n"
        f"  -o smtpd_recipient_restrictions=check_recipient_access,texthash:{config}/away,permit\n"
        "  -o mynetworks=127.0.0.0/8 -o smtpd_relay_restrictions=permit_mynetworks,reject\n"
        "postlog unix-dgram n - n - 1 postlogd\n"
        f"{services}",
        encoding="utf-8",
    )
