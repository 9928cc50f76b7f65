"""The forms of compute targets."""

from django import forms

from computes.models import ComputeTarget


class TargetForm(forms.ModelForm):  # type: ignore[type-arg]
    class Meta:
        model = ComputeTarget
        fields = ("max_runs", "description")
        help_texts = {
            "max_runs": "Further runs wait, in the order in which they were submitted."
        }
