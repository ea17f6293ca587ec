"""Forms (the URL Standard, section 5, and :rfc:`7578`): parser, reader, result and uploads."""

from typing import TYPE_CHECKING

from asgikit._lazy import lazy_names

if TYPE_CHECKING:
    from asgikit.forms.form_data import FormData
    from asgikit.forms.reader import Part
    from asgikit.forms.uploads import UploadFile
else:
    __getattr__ = lazy_names(
        __name__,
        {
            "FormData": "asgikit.forms.form_data",
            "Part": "asgikit.forms.reader",
            "UploadFile": "asgikit.forms.uploads",
        },
    )

__all__ = ["FormData", "Part", "UploadFile"]
