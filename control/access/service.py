"""AccessService: what a token may do, who has one, and what was decided."""

from center.control.v1 import access_service_pb2_grpc as pb_grpc
from control.access.logbook import Logbook
from control.entitlements.service import Granting


class AccessService(Granting, Logbook, pb_grpc.AccessServiceServicer):
    pass
