"""Operations in the contract's words."""

from google.longrunning import operations_proto_pb2 as longrunning_pb
from google.rpc import code_pb2, error_details_pb2, status_pb2

from center.control.v1 import operations_service_pb2 as pb
from center.control.v1 import tenant_pb2
from center.control.v1 import user_service_pb2 as user_pb
from control.operations.domain import STEPS, Fault, Kind, Operation, State
from control.tenants import messages as tenant_messages
from control.tenants.domain import Tenant
from control.tenants.messages import timestamp

PREFIX = "operations/"


def to_proto(operation: Operation, tenant: Tenant | None = None) -> longrunning_pb.Operation:
    """tenant: as it is now; the response of an operation that has ended well. None when it is gone."""
    message = longrunning_pb.Operation(name=operation.name, done=operation.is_decided)
    message.metadata.Pack(_metadata(operation))
    if operation.error is not None and message.done:
        message.error.CopyFrom(_status(operation.error))
    elif operation.state is State.DONE and operation.kind is Kind.ERASE:
        message.response.Pack(_erasure(operation))
    elif operation.state is State.DONE and operation.kind is Kind.REWRAP:
        touched = dict(operation.touched)
        message.response.Pack(
            user_pb.KeyRotationReceipt(kek=int(touched["kek"]), rewrapped_users=operation.rows_copied)
        )
    elif operation.state is State.DONE:
        gone = tenant_pb2.Tenant(id=operation.tenant_id)
        message.response.Pack(tenant_messages.to_proto(tenant) if tenant is not None else gone)
    return message


def _erasure(operation: Operation) -> user_pb.ErasureReceipt:
    return user_pb.ErasureReceipt(
        user_id=operation.user_id,
        erase_time=timestamp(operation.end_time),
        stores=[user_pb.TouchedStore(store=store, action=action) for store, action in operation.touched],
    )


def _metadata(operation: Operation) -> pb.OperationMetadata:
    metadata = pb.OperationMetadata(
        kind=f"OPERATION_KIND_{operation.kind}",
        tenant_id=operation.tenant_id,
        user_id=operation.user_id,
        step=operation.step,
        steps_done=operation.steps_done,
        steps_total=len(STEPS[operation.kind]),
        attempts=operation.attempts,
        last_error=_status(operation.last_error) if operation.last_error is not None else None,
        cancel_requested=operation.cancel_requested,
        create_time=timestamp(operation.create_time),
        update_time=timestamp(operation.update_time),
        caller=operation.caller,
        reason=operation.reason,
        source_cluster_id=operation.source_cluster_id,
        target_cluster_id=operation.target_cluster_id,
        rows_copied=operation.rows_copied,
    )
    if operation.end_time is None and not operation.lease_owner:
        metadata.next_attempt_time.FromDatetime(operation.next_attempt_time)
    if operation.freeze_time is not None:
        thawed = operation.thaw_time or operation.update_time
        metadata.write_freeze.FromTimedelta(thawed - operation.freeze_time)
    return metadata


def _status(fault: Fault) -> status_pb2.Status:
    status = status_pb2.Status(code=code_pb2.Code.Value(fault.code), message=fault.message)
    status.details.add().Pack(error_details_pb2.ErrorInfo(reason=fault.reason, domain="center"))
    return status
