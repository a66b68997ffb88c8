"""Users and their mail in the contract's words."""

from center.control.v1 import user_service_pb2 as pb
from control.tenants.messages import timestamp
from control.users.domain import Registration, User
from control.users.mail import Mail, Outcome


def to_proto(user: User, email: str = "") -> pb.User:
    return pb.User(
        id=user.id,
        state=f"USER_STATE_{user.state}",
        email=email,
        verify_time=timestamp(user.verify_time),
        create_time=timestamp(user.create_time),
        update_time=timestamp(user.update_time),
        erase_time=timestamp(user.erase_time),
        etag=user.etag,
    )


def registration_to_proto(registration: Registration, target: str) -> pb.UserRegistration:
    return pb.UserRegistration(
        id=registration.id,
        solution_id=registration.solution_id,
        redirect_url=target,
        create_time=timestamp(registration.create_time),
        verify_time=timestamp(registration.verify_time),
    )


def mail_to_proto(mail: Mail) -> pb.Mail:
    return pb.Mail(
        id=mail.id,
        user_id=mail.user_id,
        template=f"MAIL_TEMPLATE_{mail.template}",
        state=f"MAIL_STATE_{mail.state}",
        attempts=mail.attempts,
        next_attempt_time=timestamp(mail.next_attempt_time) if mail.state is Outcome.PENDING else None,
        last_error=mail.last_error,
        create_time=timestamp(mail.create_time),
        end_time=timestamp(mail.end_time),
    )
