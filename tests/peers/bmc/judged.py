"""Assertions of the DMTF's protocol validator that a lab machine fails on purpose, and why. All others hold."""

from __future__ import annotations

_PARSER = "the HTTP parser answers 400 to a method that HTTP does not know; one that a resource does not take is 405"
_WHOLE_LIST = (
    "NTPServers is written whole, as on AMI and iDRAC: null or {} for an element is refused, nothing is changed"
)
_READ_ONLY = "a PATCH of @odata.id is refused as read only, as several BMCs do, instead of ignored with NoOperation"
_STAR = "an account of a DGX takes If-Match: * only, so that what the validator PATCHes with its ETag is 412"

EVERY = {
    "PROTO_HTTP_UNSUPPORTED_METHODS": _PARSER,
    "REQ_PATCH_ARRAY_ELEMENT_REMOVE": _WHOLE_LIST,
    "REQ_PATCH_ARRAY_ELEMENT_UNCHANGED": _WHOLE_LIST,
    "REQ_PATCH_ODATA_PROPS": _READ_ONLY,
}

# What a DGX's firmware does otherwise than the specification, and the lab's DGX with it
AMI = {
    "PROTO_ETAG_IF_MATCH_ENFORCED": _STAR,
    "PROTO_HTTP_SUPPORTED_METHODS": _STAR,
    "REQ_PATCH_BAD_PROP": _STAR,
    "REQ_PATCH_MIXED_PROPS": _STAR,
    "SEC_ACCOUNTS_SUPPORT_ETAGS": _STAR,
}

JUDGED = {"generic": EVERY, "ami": {**EVERY, **AMI}}
