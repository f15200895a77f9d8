"""Redfish errors: extended error bodies with messages of the DMTF Base registry, as the AMI firmware words them."""

from __future__ import annotations

from typing import Any

REGISTRY = "Base.1.12"

# name: (HTTP status, message, severity, resolution)
_MESSAGES: dict[str, tuple[int, str, str, str]] = {
    "ResourceMissingAtURI": (
        404,
        "The resource at the URI '{0}' was not found.",
        "Critical",
        "Place a valid resource at the URI or correct the URI and resubmit the request.",
    ),
    "NoValidSession": (
        401,
        "There is no valid session established with the implementation.",
        "Critical",
        "Establish a session before attempting any operations.",
    ),
    "InsufficientPrivilege": (
        403,
        "There are insufficient privileges for the account or credentials associated with the current session to "
        "perform the requested operation.",
        "Critical",
        "Either abandon the operation or change the associated access rights and resubmit the request if the operation "
        "failed.",
    ),
    "SessionLimitExceeded": (
        503,
        "The session establishment failed due to the number of simultaneous sessions exceeding the limit of the "
        "implementation.",
        "Critical",
        "Reduce the number of other sessions before trying to establish the session or increase the limit of "
        "simultaneous sessions (if supported).",
    ),
    "MalformedJSON": (
        400,
        "The request body submitted was malformed JSON and could not be parsed by the receiving service.",
        "Critical",
        "Ensure that the request body is valid JSON and resubmit the request.",
    ),
    "OperationNotAllowed": (
        405,
        "The HTTP method is not allowed on this resource.",
        "Critical",
        "None.",
    ),
    "PropertyMissing": (
        400,
        "The property {0} is a required property and must be included in the request.",
        "Warning",
        "Ensure that the property is in the request body and has a valid value and resubmit the request if the "
        "operation failed.",
    ),
    "PropertyUnknown": (
        400,
        "The property {0} is not in the list of valid properties for the resource.",
        "Warning",
        "Remove the unknown property from the request body and resubmit the request if the operation failed.",
    ),
    "PropertyNotWritable": (
        400,
        "The property {0} is a read only property and cannot be assigned a value.",
        "Warning",
        "Remove the property from the request body and resubmit the request if the operation failed.",
    ),
    "PropertyValueTypeError": (
        400,
        "The value '{0}' for the property {1} is of a different type than the property can accept.",
        "Warning",
        "Correct the value for the property in the request body and resubmit the request if the operation failed.",
    ),
    "PropertyValueNotInList": (
        400,
        "The value '{0}' for the property {1} is not in the list of acceptable values.",
        "Warning",
        "Choose a value from the enumeration list that the implementation can support and resubmit the request if the "
        "operation failed.",
    ),
    "PropertyValueFormatError": (
        400,
        "The value '{0}' for the property {1} is of a different format than the property can accept.",
        "Warning",
        "Correct the value for the property in the request body and resubmit the request if the operation failed.",
    ),
    "ActionParameterMissing": (
        400,
        "The action {0} requires the parameter {1} to be present in the request body.",
        "Critical",
        "Supply the action with the required parameter in the request body when the request is resubmitted.",
    ),
    "ActionParameterNotSupported": (
        400,
        "The parameter {0} for the action {1} is not supported on the target resource.",
        "Warning",
        "Remove the parameter supplied and resubmit the request if the operation failed.",
    ),
    "ActionParameterValueNotInList": (
        400,
        "The value '{0}' for the parameter {1} in the action {2} is not in the list of acceptable values.",
        "Warning",
        "Choose a value from the enumeration list that the implementation can support and resubmit the request if the "
        "operation failed.",
    ),
    "ActionNotSupported": (
        400,
        "The action {0} is not supported by the resource.",
        "Critical",
        "The action supplied cannot be resubmitted to the implementation.  Perhaps the action was invalid, the wrong "
        "resource was the target or the implementation documentation may be of assistance.",
    ),
    "ResourceInStandby": (
        409,
        "The request could not be performed because the resource is in standby.",
        "Critical",
        "Ensure that the resource is in the correct power state and resubmit the request.",
    ),
    "CreateLimitReachedForResource": (
        400,
        "The create operation failed because the resource has reached the limit of possible resources.",
        "Critical",
        "Either delete resources and resubmit the request if the operation failed or do not resubmit the request.",
    ),
    "ResourceAlreadyExists": (
        400,
        "The requested resource of type {0} with the property {1} with the value '{2}' already exists.",
        "Critical",
        "Do not repeat the create operation as the resource has already been created.",
    ),
    "ResourceInUse": (
        409,
        "The change to the requested resource failed because the resource is in use or in transition.",
        "Warning",
        "Remove the condition and resubmit the request if the operation failed.",
    ),
    "PasswordChangeRequired": (
        403,
        "The password provided for this account must be changed before access is granted. PATCH the 'Password' "
        "property for this account located at the target URI '{0}' to complete this process.",
        "Critical",
        "Change the password for this account using a PATCH to the 'Password' property at the URI provided.",
    ),
    "NoOperation": (
        400,
        "The request body submitted contain no data to act upon and no changes to the resource took place.",
        "Warning",
        "Add properties in the JSON object and resubmit the request.",
    ),
    "PreconditionRequired": (
        428,
        "A precondition header or annotation is required to change this resource.",
        "Critical",
        "Try the operation again using an If-Match or If-None-Match header and appropriate ETag.",
    ),
    "PreconditionFailed": (
        412,
        "The ETag supplied did not match the ETag required to change this resource.",
        "Critical",
        "Try the operation again using the appropriate ETag.",
    ),
    "QueryParameterValueFormatError": (
        400,
        "The value '{0}' for the parameter {1} is of a different format than the parameter can accept.",
        "Warning",
        "Correct the value for the query parameter in the request and resubmit the request if the operation failed.",
    ),
    "UnrecognizedRequestBody": (
        400,
        "The service detected a malformed request body that it was unable to interpret.",
        "Warning",
        "Correct the request body and resubmit the request if it failed.",
    ),
    "UnsupportedMediaType": (
        415,
        "The media type of the request body, or of a part of it, is not supported.",
        "Warning",
        "Correct the Content-Type and resubmit the request.",
    ),
    "PayloadTooLarge": (
        413,
        "The supplied payload exceeds the maximum size that the service supports.",
        "Critical",
        "Reduce the size of the payload and resubmit the request.",
    ),
    "ServiceTemporarilyUnavailable": (
        503,
        "The service is temporarily unavailable.  Retry in {0} seconds.",
        "Critical",
        "Wait for the indicated retry duration and retry the operation.",
    ),
    "QueryParameterOutOfRange": (
        400,
        "The value '{0}' for the query parameter {1} is out of range {2}.",
        "Warning",
        "Reduce the value for the query parameter to a value that is within range, and resubmit the request.",
    ),
    "PropertyValueConflict": (
        400,
        "The property '{0}' could not be written because its value would conflict with the value of the '{1}' "
        "property.",
        "Warning",
        "No resolution is required.",
    ),
    "Success": (200, "The request completed successfully.", "OK", "None."),
    "GeneralError": (500, "A general error has occurred.", "Critical", "None."),
}


class RedfishError(Exception):
    """An answer that is an error; ``name`` is the message's key in the Base registry."""

    def __init__(self, name: str, *args: str, status: int | None = None) -> None:
        self.name = name
        self.arguments = args
        default_status, text, self.severity, self.resolution = _MESSAGES[name]
        self.status = status or default_status
        self.message = text.format(*args)
        self.headers: dict[str, str] = {}
        super().__init__(self.message)

    def body(self) -> dict[str, Any]:
        id = f"{REGISTRY}.{self.name}"
        info: dict[str, Any] = {
            "@odata.type": "#Message.v1_0_8.Message",
            "Message": self.message,
            "MessageArgs": list(self.arguments),
            "MessageId": id,
            "Resolution": self.resolution,
            "Severity": self.severity,
        }
        if self.name.startswith("Property") and self.arguments:
            info["RelatedProperties"] = [f"#/{self.arguments[-1]}"]
        return {"error": {"@Message.ExtendedInfo": [info], "code": id, "message": self.message}}
