"""What is seen of the tasks: rows and labels, or the moments that linear problems need."""

from mtlsim.samples.data import Data as Data
from mtlsim.samples.data import draw_data as draw_data
from mtlsim.samples.moments import Moments as Moments
from mtlsim.samples.moments import stack as stack
from mtlsim.samples.wishart import draw_moments as draw_moments
