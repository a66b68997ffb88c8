"""Loaded by pytest before any plugin imports grpc: what `shared` says to grpc has to be said first."""

import shared as shared
