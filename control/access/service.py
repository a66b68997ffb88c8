"""AccessService: what a token may do, who has one, and what was decided."""

from center.control.v1 import access_service_pb2_grpc as pb_grpc
from control.entitlements.service import Granting


class AccessService(Granting, pb_grpc.AccessServiceServicer):
    pass
