"""Mail: sent once it is committed, tried until it is taken, dropped with its user, and never told to anybody else."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session

from center.control.v1 import user_service_pb2 as pb
from control.users import mail
from control.users.mail import FileMailbox, Mail, Smtp, Template, Undeliverable, written
from shared.runtime.ids import uuid7
from tests.control.people import Moved, People, an_email
from tests.control.plane import until
from tests.support.server import free_port


@dataclass
class Server:
    """An SMTP server that takes mail, or answers as it is told to."""

    answers: list[str] = field(default_factory=list)
    taken: list[Envelope] = field(default_factory=list)
    port: int = field(default_factory=free_port)

    async def handle_RCPT(
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if self.answers and self.answers[0].startswith("RCPT "):
            return self.answers.pop(0).removeprefix("RCPT ").format(address=address)
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        if self.answers:
            return self.answers.pop(0).format(address=envelope.rcpt_tos[0])
        self.taken.append(envelope)
        return "250 OK"


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    handler = Server()
    controller = Controller(handler, hostname="127.0.0.1", port=handler.port)
    controller.start()
    yield handler
    controller.stop()


@pytest.fixture(scope="module")
async def people(start_plane: Any, server: Server) -> AsyncIterator[People]:
    clock = Moved()
    async with start_plane(clock=clock, smtp_url=f"smtp://127.0.0.1:{server.port}") as plane:
        yield People(plane, clock)


async def sent(people: People, user_id: str, state: int = pb.MAIL_STATE_SENT) -> pb.Mail:
    async def has_state() -> list[pb.Mail]:
        return [each for each in await people.mails(user_id) if each.state == state]

    [found] = await until(has_state)
    return found


async def test_mail_goes_to_the_server_and_its_link_works(people: People, server: Server) -> None:
    email = an_email()
    await people.register(email, await people.solution())
    user = await people.find(email)
    delivered = await sent(people, user.id)
    [envelope] = [each for each in server.taken if each.rcpt_tos == [email]]
    text = (envelope.content or b"").decode()  # type: ignore[union-attr]
    assert f"Message-ID: <{delivered.id}@center.localhost>" in text and "Auto-Submitted: auto-generated" in text
    assert (delivered.attempts, delivered.last_error) == (1, "")
    [link] = [line for line in text.splitlines() if "/verify#" in line]
    assert (await people.verify(link.rpartition("#")[2])).user_id == user.id


async def test_a_server_that_is_busy_is_asked_again_and_its_words_are_not_kept(people: People, server: Server) -> None:
    server.answers += ["451 greylisted {address}", "RCPT 450 not now {address}"]
    email = an_email()
    await people.register(email, await people.solution())
    user = await people.find(email)
    for error in ("SMTP 451", "SMTP 450"):

        async def was_refused(error: str = error) -> list[pb.Mail]:
            return [each for each in await people.mails(user.id) if each.last_error == error]

        [waiting] = await until(was_refused)
        assert waiting.state == pb.MAIL_STATE_PENDING and waiting.HasField("next_attempt_time")
        people.clock.by += timedelta(seconds=10)
    assert (await sent(people, user.id)).attempts == 3


async def test_a_server_that_refuses_for_good_is_not_asked_again(people: People, server: Server) -> None:
    server.answers += ["RCPT 550 no such user {address}"]
    email = an_email()
    await people.register(email, await people.solution())
    failed = await sent(people, (await people.find(email)).id, pb.MAIL_STATE_FAILED)
    assert (failed.attempts, failed.last_error) == (1, "SMTP 550")


async def test_mail_of_an_erased_user_is_never_sent(people: People, server: Server) -> None:
    server.answers += ["451 later"]
    email = an_email()
    await people.register(email, await people.solution())
    user = await people.find(email)

    async def was_refused() -> bool:
        return any(each.last_error for each in await people.mails(user.id))

    await until(was_refused)
    operation = (await people.users.EraseUser(pb.EraseUserRequest(id=user.id, reason="test"))).operation
    assert (await people.plane.wait(operation.name)).HasField("response")
    [dropped] = await people.mails(user.id)
    assert dropped.state == pb.MAIL_STATE_DROPPED
    people.clock.by += timedelta(hours=1)
    # Another user's mail goes through the same worker afterwards.
    other = an_email()
    await people.register(other, await people.solution())
    await sent(people, (await people.find(other)).id)
    assert not [each for each in server.taken if email in each.rcpt_tos]


async def test_mail_whose_link_has_expired_is_not_sent(people: People, server: Server) -> None:
    server.answers += ["451 later"]
    email = an_email()
    await people.register(email, await people.solution())
    user = await people.find(email)

    async def was_refused() -> bool:
        return any(each.last_error for each in await people.mails(user.id))

    await until(was_refused)
    people.clock.by += timedelta(days=2)
    await sent(people, user.id, pb.MAIL_STATE_DROPPED)


class Slow:
    """A delivery that is under way until it is let go on."""

    keeps = True

    def __init__(self, home: Path) -> None:
        self.mailbox = FileMailbox(home)
        self.loop = asyncio.get_running_loop()
        self.begun, self.go_on, self.discarded = asyncio.Event(), asyncio.Event(), asyncio.Event()

    def deliver(self, mail_id: str, message: EmailMessage) -> None:
        self.loop.call_soon_threadsafe(self.begun.set)
        asyncio.run_coroutine_threadsafe(self.go_on.wait(), self.loop).result(30)
        self.mailbox.deliver(mail_id, message)

    def discard(self, mail_id: str) -> bool:
        was_there = self.mailbox.discard(mail_id)
        if was_there:
            self.loop.call_soon_threadsafe(self.discarded.set)
        return was_there


async def test_an_erasure_waits_for_the_mail_that_is_under_way_and_takes_it_back(
    start_plane: Any, tmp_path: Path
) -> None:
    delivery = Slow(tmp_path)
    async with start_plane(delivery=delivery) as plane:
        people, email = People(plane), an_email()
        await people.register(email, await people.solution())
        user = await people.find(email)
        await asyncio.wait_for(delivery.begun.wait(), 20)
        operation = (await people.users.EraseUser(pb.EraseUserRequest(id=user.id, reason="test"))).operation

        async def is_shredded() -> bool:
            return (await people.get(user.id)).state == pb.USER_STATE_ERASED

        await until(is_shredded)
        assert not (await plane.wait(operation.name, timeout_s=1)).done
        delivery.go_on.set()
        assert (await plane.wait(operation.name)).HasField("response")
        assert not list((tmp_path / "mail").glob("*.eml"))


async def test_a_mail_that_comes_out_after_its_worker_was_given_up_is_taken_back(
    start_plane: Any, tmp_path: Path
) -> None:
    delivery, clock = Slow(tmp_path), Moved()
    async with start_plane(delivery=delivery, clock=clock) as plane:
        people, email = People(plane, clock), an_email()
        await people.register(email, await people.solution())
        user = await people.find(email)
        await asyncio.wait_for(delivery.begun.wait(), 20)
        operation = (await people.users.EraseUser(pb.EraseUserRequest(id=user.id, reason="test"))).operation

        async def is_shredded() -> bool:
            return (await people.get(user.id)).state == pb.USER_STATE_ERASED

        await until(is_shredded)
        clock.by += mail.LEASE
        assert (await plane.wait(operation.name)).HasField("response")
        delivery.go_on.set()
        await asyncio.wait_for(delivery.discarded.wait(), 20)
        assert not list((tmp_path / "mail").glob("*.eml"))


async def test_two_processes_send_each_mail_once(start_plane: Any, tmp_path: Path) -> None:
    counting = Counting()
    async with start_plane(delivery=counting) as plane:
        beside = plane.beside()
        await beside.start(delivery=counting)
        try:
            people, solution = People(plane), await People(plane).solution()
            emails = [an_email() for _ in range(40)]
            await asyncio.gather(*(people.register(email, solution) for email in emails))

            async def all_sent() -> bool:
                request = pb.ListMailsRequest(filter="state = SENT", page_size=100)
                return len((await people.users.ListMails(request)).mails) == 40

            await until(all_sent)
        finally:
            await beside.close()
    assert sorted(counting.to) == sorted(emails)


class Counting:
    keeps = False

    def __init__(self) -> None:
        self.to: list[str] = []

    def deliver(self, mail_id: str, message: EmailMessage) -> None:
        self.to.append(str(message["To"]))

    def discard(self, mail_id: str) -> bool:
        return False


def a_mail(template: Template = Template.VERIFY) -> Mail:
    now = Moved().now()
    return Mail(uuid7(), uuid7(), template, now, now)


@pytest.mark.parametrize("template", Template)
def test_no_name_breaks_out_of_a_mail(template: Template) -> None:
    name = "Ev\u00efl\r\nBcc: all@example.com {url} {0}"
    message = written(a_mail(template), "ann@example.com", "no-reply@center.localhost", name, "http://x/verify#t")
    assert message["Bcc"] is None and message["To"] == "ann@example.com"
    assert message.get_content().count("http://x/verify#t") == (template is not Template.CHANGED)


def test_the_file_mailbox_is_the_owners_and_takes_a_mail_twice(tmp_path: Path) -> None:
    mailbox, one = FileMailbox(tmp_path), a_mail()
    message = written(one, "ann@example.com", "no-reply@center.localhost", "Search", "http://x/verify#t")
    for _ in range(2):
        mailbox.deliver(one.id, message)
    [path] = mailbox.folder.iterdir()
    assert (path.stat().st_mode & 0o777, mailbox.folder.stat().st_mode & 0o777) == (0o600, 0o700)
    assert mailbox.discard(one.id) and not mailbox.discard(one.id)


def test_a_password_is_not_sent_in_clear_and_never_told(server: Server) -> None:
    message = written(a_mail(), "ann@example.com", "no-reply@center.localhost", "Search", "http://x/verify#t")
    with pytest.raises(Undeliverable, match="no TLS") as refused:
        Smtp(f"smtp://user:hunter2@127.0.0.1:{server.port}").deliver("x", message)
    assert not refused.value.for_good and "hunter2" not in str(refused.value)
    with pytest.raises(ValueError, match="CENTER_SMTP_URL") as wrong:
        Smtp("http://user:hunter2@127.0.0.1")
    assert "hunter2" not in str(wrong.value)
