# what draws, and where each lives

from . import curves as curves
from . import diagrams as diagrams
from . import legends as legends
from . import maps as maps
from . import predictions as predictions
from . import sheet as sheet
from . import style as style
from . import verification as verification
from .curves import finish_gain_axis as finish_gain_axis
from .curves import gain_curve as gain_curve
from .curves import points_on_lines as points_on_lines
from .curves import risk_curve as risk_curve
from .curves import transfer_curve as transfer_curve
from .legends import legend as legend
from .maps import difference_map as difference_map
from .maps import transfer_map as transfer_map
from .predictions import boundary as boundary
from .predictions import overlay as overlay
from .sheet import entitle as entitle
from .sheet import finish as finish
from .sheet import save as save
from .style import Look as Look
from .style import figure as figure
from .style import wearing as wearing
