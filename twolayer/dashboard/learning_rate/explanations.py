"""What the Learning-rate page is for, and what a learner asks about it."""

import streamlit as st

from twolayer.dashboard.i18n import _


def draw() -> None:
    """Draw what the page is for, and each question with its answer."""
    st.markdown(
        _(
            "**Which learning rate works?** Sweep them: 100 learning rates × 3 seeds, each trained to the "
            "end, take a second or two thanks to the dual form. See which rates converge, which diverge, and "
            "how the curvature (sharpness) of the loss explains it."
        )
    )
    st.markdown("**{}**".format(_("What is λmax?")))
    st.markdown(
        _(
            "The curvature of the loss in the direction in which it curves most: the largest "
            "eigenvalue of the Hessian, also called *sharpness*. On a quadratic with curvature λ, "
            "a step of gradient descent multiplies the distance to the minimum by 1 − ηλ:\n\n- 0 < "
            "ηλ < 1: each step comes closer.\n- 1 < ηλ < 2: each step overshoots the minimum but "
            "still comes closer.\n- ηλ > 2: each step ends further away.\n\nSo on a quadratic η "
            "must be below 2/λmax. This loss is not quadratic: λmax changes as the weights move, "
            "as the chart shows."
        )
    )
    st.markdown("**{}**".format(_("What is the dual form?")))
    st.markdown(
        _(
            "Every update of w1 is xᵀ times a matrix, so w1 is its initial value minus xᵀ·S, where "
            "S sums up learning rate × grad_h over the steps. The dual form trains S (N × H) in "
            "place of w1 (D_in × H): with x·xᵀ (N × N) computed once, h is its initial value minus "
            "x·xᵀ·S. The losses are the same up to rounding. The products with x take 2·N²·H "
            "operations per step instead of 4·N·D_in·H: fewer while N is below 2·D_in."
        )
    )
