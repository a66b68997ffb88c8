"""What Envoy is told at start: who it is, where the xDS server is, which keys to show. All else comes over xDS."""

from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import envoy_data_plane.envoy.config.bootstrap.v3 as bootstrap_api
import envoy_data_plane.envoy.config.cluster.v3 as cluster_api
import envoy_data_plane.envoy.config.core.v3 as core
import envoy_data_plane.envoy.config.endpoint.v3 as endpoint_api
import envoy_data_plane.envoy.config.metrics.v3 as metrics
import envoy_data_plane.envoy.config.overload.v3 as overload
import envoy_data_plane.envoy.extensions.resource_monitors.downstream_connections.v3 as downstream_connections
import envoy_data_plane.envoy.extensions.transport_sockets.tls.v3 as tls
import envoy_data_plane.envoy.type.matcher.v3 as matcher
from envoy_data_plane.google.protobuf import Any

from edge.xds import fleet


@dataclass(frozen=True, slots=True)
class Proxy:
    """One Envoy; `xds` are the addresses of xDS servers, of which it uses one at a time."""

    node_id: str
    admin: tuple[str, int]
    xds: tuple[tuple[str, int], ...]
    ca_pem: Path
    cert_pem: Path
    key_pem: Path
    region_id: str = ""
    most_connections: int = 50_000


def bootstrap(proxy: Proxy) -> bootstrap_api.Bootstrap:
    """Envoy keeps what it was last told when the xDS server is down, so nothing here is for that case."""
    return bootstrap_api.Bootstrap(
        node=core.Node(id=proxy.node_id, cluster="edge", locality=core.Locality(region=proxy.region_id)),
        admin=bootstrap_api.Admin(address=fleet.address(*proxy.admin), ignore_global_conn_limit=True),
        dynamic_resources=bootstrap_api.BootstrapDynamicResources(
            ads_config=core.ApiConfigSource(
                api_type=core.ApiConfigSourceApiType.DELTA_GRPC,
                transport_api_version=core.ApiVersion.V3,
                set_node_on_first_message_only=True,
                grpc_services=[
                    core.GrpcService(
                        envoy_grpc=core.GrpcServiceEnvoyGrpc(
                            cluster_name=fleet.XDS_CLUSTER,
                            # One lost server is found again within a second, not within Envoy's half minute.
                            retry_policy=core.RetryPolicy(
                                retry_back_off=core.BackoffStrategy(
                                    base_interval=timedelta(milliseconds=100), max_interval=timedelta(seconds=1)
                                )
                            ),
                        )
                    )
                ],
            ),
            cds_config=fleet.ads(),
            lds_config=fleet.ads(),
        ),
        static_resources=bootstrap_api.BootstrapStaticResources(
            clusters=[_xds_cluster(proxy)],
            secrets=[
                tls.Secret(
                    name=fleet.IDENTITY_SECRET,
                    tls_certificate=tls.TlsCertificate(
                        certificate_chain=core.DataSource(filename=str(proxy.cert_pem)),
                        private_key=core.DataSource(filename=str(proxy.key_pem)),
                    ),
                ),
                tls.Secret(
                    name=fleet.CA_SECRET,
                    validation_context=tls.CertificateValidationContext(
                        trusted_ca=core.DataSource(filename=str(proxy.ca_pem))
                    ),
                ),
            ],
        ),
        # A dozen counters for each tenant's routes would be half of what Envoy keeps of a tenant.
        stats_config=metrics.StatsConfig(
            stats_matcher=metrics.StatsMatcher(
                exclusion_list=matcher.ListStringMatcher(
                    patterns=[matcher.StringMatcher(prefix="http.outside.rds."), matcher.StringMatcher(prefix="vhost.")]
                )
            )
        ),
        overload_manager=overload.OverloadManager(
            resource_monitors=[
                overload.ResourceMonitor(
                    name="envoy.resource_monitors.global_downstream_max_connections",
                    typed_config=Any.pack(
                        downstream_connections.DownstreamConnectionsConfig(
                            max_active_downstream_connections=proxy.most_connections
                        )
                    ),
                )
            ]
        ),
    )


def _xds_cluster(proxy: Proxy) -> cluster_api.Cluster:
    made = fleet.upstream(fleet.XDS_CLUSTER, "spiffe://center/edge")
    made.type = cluster_api.ClusterDiscoveryType.STRICT_DNS
    # Two addresses here fail over in half a second; a second grpc_service does not (Envoy 1.40).
    made.load_assignment = endpoint_api.ClusterLoadAssignment(
        cluster_name=fleet.XDS_CLUSTER,
        endpoints=[
            endpoint_api.LocalityLbEndpoints(
                lb_endpoints=[
                    endpoint_api.LbEndpoint(endpoint=endpoint_api.Endpoint(address=fleet.address(host, port)))
                    for host, port in proxy.xds
                ]
            )
        ],
    )
    return made
